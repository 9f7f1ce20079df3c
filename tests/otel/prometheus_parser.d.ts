/** Parses the text format. Returns a family for each metric. */
export default function parsePrometheus(text: string): {
  name: string;
  help: string;
  type: string;
  metrics: {
    value?: string;
    labels?: Record<string, string>;
    count?: string;
    sum?: string;
    quantiles?: Record<string, string>;
  }[];
}[];
