/** An empty program, for the time that every program takes. */
