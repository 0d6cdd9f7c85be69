/**
 * What crosses between the main thread and a plugin's worker.
 *
 * Everything is plain data. The main thread treats whatever arrives as a claim of the plugin: it is
 * checked by shape before it is used, and it can only ever speak of the plugin that sent it.
 */

/** A bounded description of anything that was thrown. */
export interface Thrown {
  /** The error's class name, or `undefined`, `string`, ... for things that are no errors. */
  readonly type: string;
  /** Its message, cut at 64 KiB. */
  readonly message: string;
  /** Its stack, cut at 64 KiB. */
  readonly stack?: string;
  /** Set when the plugin refused its input (`InvalidInput`): not a fault of the plugin. */
  readonly refused?: boolean;
}

/** The step of a load that failed. */
export type LoadStep = "import" | "construct" | "validate" | "entrypoint";

/** Main thread to worker. */
export type ToWorker =
  | { readonly op: "load"; readonly id: number; readonly plugin: PluginContext }
  | { readonly op: "call"; readonly id: number; readonly command: string; readonly payload: unknown }
  | { readonly op: "cancel"; readonly id: number }
  | { readonly op: "event"; readonly event: string; readonly payload: unknown }
  | { readonly op: "shutdown"; readonly id: number }
  | { readonly op: "credit"; readonly count: number };

/** Worker to main thread. */
export type FromWorker =
  | { readonly op: "loaded"; readonly id: number; readonly commands: readonly string[]; readonly open: boolean }
  | { readonly op: "unloadable"; readonly id: number; readonly step: LoadStep; readonly thrown: Thrown }
  | { readonly op: "result"; readonly id: number; readonly value?: unknown }
  | { readonly op: "threw"; readonly id: number; readonly thrown: Thrown }
  | { readonly op: "unknown"; readonly id: number }
  | { readonly op: "unserializable"; readonly id: number; readonly message: string }
  | { readonly op: "crashed"; readonly thrown: Thrown }
  | { readonly op: "log"; readonly level: string; readonly text: string }
  | { readonly op: "listen"; readonly event: string }
  | { readonly op: "unlisten"; readonly event: string }
  | { readonly op: "emit"; readonly event: string; readonly payload: unknown };

/** What a plugin is told of itself. */
export interface PluginContext {
  readonly name: string;
  /** The third argument of `init(api, bus, config)`. */
  readonly config?: unknown;
  /** The argument of `onLoad(initialState)`. */
  readonly initialState?: unknown;
}
