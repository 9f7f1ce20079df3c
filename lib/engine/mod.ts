/**
 * Operations in flight: starting them, learning of their end, and running them in place. It knows
 * files by handle and memory by loan only.
 *
 * @module
 */
export { engine, isEngineIdle } from "./choice.ts";
export type { Engine } from "./engine.ts";
export { FLAGS, OPERATION, PendingOperation } from "./operation.ts";
export type { OperationKind } from "./operation.ts";
export { configureEngine } from "./options.ts";
export type { EngineKind, EngineOptions } from "./options.ts";
