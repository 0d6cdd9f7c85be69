/**
 * The addon's interface, word for word what `node/native/*.rs` exports. Everything else in this
 * package stands on it; nothing else requires the binary.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Tells JavaScript something: `done`, `error`, `build`, `call`, `cancel`, `stop`, `progress`, `deadline`, `heap` or `log`; in a worker process also `confine` and `exit`. */
export type Signal = (kind: string, id: number, payload: string) => void;

/** What became of a call. */
export interface NativeEnded {
  readonly effect: string;
  readonly elapsedMs: number;
  readonly generation: number;
  readonly callId: number;
  /** JSON of the error, if there is one. */
  readonly error?: string;
}

/** What `enter` answers besides the number of a call. */
export const Refused = { needsArgs: -1, full: -2, error: -3 } as const;

/** Places in the `facts` array, which the addon writes. */
export const Fact = { callId: 0, limitMs: 1, generation: 2, elapsedMs: 3 } as const;

/** The core's runtime. Every method may throw an `Error` whose `code` is the catalogue's and whose message is JSON. */
export interface NativeRuntime {
  loadPath(id: number, path: string): void;
  loadManifest(id: number, manifest: string, dir: string | null, tag: string | null, assumptions: string): void;
  loadBroken(name: string, fault: string): string;
  parse(path: string): string;
  /** Signals `progress` and `done`. */
  check(id: number, asked: string): void;
  restart(id: number, name: string): void;
  reload(id: number, name: string): void;
  stop(id: number, name: string): void;
  unload(name: string): void;
  close(id: number): boolean;
  route(plugin: string, tool: string): number;
  /** A call's number, whose lowest bit says that its result is wanted as JSON, or one of {@link Refused}. A deadline of 0 is the plugin's own. */
  enter(route: number, deadlineMs: number, args?: string): number;
  enterNamed(plugin: string, tool: string, deadlineMs: number, args?: string): number;
  takeError(): string | null;
  enterLater(id: number, plugin: string, tool: string, deadlineMs: number): void;
  takeTicket(id: number): number | null;
  /** Nothing when all was well; then the facts hold the time. */
  succeed(call: number, result?: string): NativeEnded | null;
  fault(call: number, fault: string): NativeEnded;
  /** With `mayLeave` the caller may {@link leave}, and must {@link forget} the call at its end. */
  call(id: number, plugin: string, tool: string, args: string, deadlineMs: number, mayLeave: boolean): void;
  /** Nobody wants the answer of that `call` any more, and nobody may be told it. */
  leave(id: number): void;
  forget(id: number): void;
  /** Takes back the deadline of an admitted call. */
  pardon(call: number): void;
  register(plugin: string, description: string, version: string): void;
  mark(plugin: string, event: string, reason: string): string;
  record(plugin: string, ok: boolean, elapsedMs?: number | null): void;
  /** False where nobody waits for the answer any more. */
  answer(id: number, answer: string): boolean;
  fail(plugin: string, generation: number, fault: string): boolean;
  kindOf(plugin: string): string | null;
  log(plugin: string | null, level: string, text: string): void;
  recentLogs(): string;
  health(): string;
  pluginHealth(plugin: string): string | null;
  summary(): string;
  metrics(): string;
  expectWorker(token: number): void;
  forgetWorker(token: number): void;
}

/** A worker process's half of the protocol. */
export interface NativeWorker {
  /** Serves the host on threads of the addon; everything else comes as signals. */
  serve(): void;
  /** Confines this thread, as the signal `confine` asks. */
  confine(): void;
  /** The last thing before the process exits: ends what the plugin has started. */
  leave(): void;
  /** False where nobody waits for the answer any more. */
  answer(id: number, answer: string): boolean;
  log(plugin: string | null, level: string, text: string): void;
  expectWorker(token: number): void;
  forgetWorker(token: number): void;
}

/** The addon. */
export interface Addon {
  readonly NodeWorker: new (signal: Signal) => NativeWorker;
  readonly NativeRuntime: new (options: string, logs: boolean, signal: Signal, facts: Float64Array) => NativeRuntime;
  /** Makes the calling worker end alone when its heap, or its buffers outside it, are full; false where that cannot be had. */
  guardHeap(token: number, bufferMb: number): boolean;
  /** For a test of what becomes of a panic. */
  panicOnPurpose(): void;
  version(): string;
}

/** Where the binary is: beside the package's `package.json`. */
export const addonPath = join(__dirname, "../../plugward.node");

/** The program of a worker process. */
export const workerPath = join(__dirname, "worker_process.js");

/** Loads the addon; may be called in any number of worker threads. */
export function loadAddon(): Addon {
  if (!existsSync(addonPath)) {
    throw new Error(`plugward: ${addonPath} is not there; build it with "npm run addon"`);
  }
  return require(addonPath) as Addon;
}
