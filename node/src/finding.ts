/** What a dependency check says. */

/** One result of a dependency check. The good ones are told as well. */
export interface Finding {
  readonly kind: "gpu" | "model" | "package" | "env" | "executable" | "platform" | "entrypoint";
  readonly subject: string;
  readonly ok: boolean;
  readonly code: string | null;
  readonly cause: string;
  readonly message: string;
  /** What to do about it; empty where `ok` is true. */
  readonly remedy: string;
  readonly took_us: number;
}
