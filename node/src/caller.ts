/**
 * A caller who may leave before its call has ended: one call's view of the `AbortSignal` that its
 * caller gave.
 *
 * The caller has its outcome at once, whatever the plugin does. The call itself stays under way until
 * the plugin has ended it: it keeps its place among the plugin's calls, so that nobody is let in beside
 * code that still runs.
 */
import { type Failure, failure, NOT_STARTED } from "./outcome";
import { errorValue } from "./plugward_error";
import { fault, type Reply } from "./worker/fault";

/** How long the code of a call may take to end once its caller has left; the core's own grace. */
export const CANCEL_GRACE_MS = 1000;

/** Who is to be told of each signal: a signal has one listener, however many calls it is given to. */
const callers = new WeakMap<AbortSignal, Set<() => void>>();

function listen(signal: AbortSignal, leave: () => void): void {
  const known = callers.get(signal);
  if (known) return void known.add(leave);
  const all = new Set([leave]);
  signal.addEventListener("abort", onAbort, { once: true });
  callers.set(signal, all);
}

function unlisten(signal: AbortSignal, leave: () => void): void {
  const all = callers.get(signal);
  all?.delete(leave);
  if (all?.size !== 0) return;
  callers.delete(signal);
  signal.removeEventListener("abort", onAbort);
}

function onAbort(this: AbortSignal): void {
  for (const leave of callers.get(this) ?? []) leave();
}

/** One call's caller. */
export class Caller {
  /** Its outcome, when it leaves; for ever pending when it does not. */
  readonly left: Promise<Failure>;
  readonly #signal: AbortSignal;
  readonly #since = performance.now();
  #leave: () => void = () => undefined;
  #end: (() => void) | undefined;
  #entered = { effect: "not_started", generation: 0, callId: 0 };

  constructor(plugin: string, tool: string, signal: AbortSignal) {
    this.#signal = signal;
    this.left = new Promise((resolve) => {
      this.#leave = () => {
        resolve(cancelled(plugin, tool, { ...this.#entered, elapsedMs: this.elapsedMs }));
        this.#end?.();
      };
    });
    listen(signal, this.#leave);
  }

  /** Whether it has left. */
  get hasLeft(): boolean {
    return this.#signal.aborted;
  }

  /** Since it called. */
  get elapsedMs(): number {
    return performance.now() - this.#since;
  }

  /** The plugin may run from now on; `end` is called when the caller leaves, at once where it has left. */
  entered(end: () => void, generation = 0, callId = 0): void {
    if (this.hasLeft) return end();
    this.#entered = { effect: "may_have_run", generation, callId };
    this.#end = end;
  }

  /** The caller has its outcome: its signal, which may live long, knows nothing of it any more. */
  release(): void {
    unlisten(this.#signal, this.#leave);
  }
}

/** The outcome of a call whose caller left. */
export function cancelled(plugin: string, tool: string, ended = NOT_STARTED): Failure {
  return failure(plugin, tool, errorValue("PW-CALL-013", `the call of ${plugin}.${tool} was cancelled`), ended);
}

/** How a call ended whose caller has left: only the loss of its worker is still the plugin's. */
export function excused(reply: Reply): Reply {
  return !reply.ok && reply.fault.fatal ? reply : { ok: false, fault: fault.cancelled() };
}
