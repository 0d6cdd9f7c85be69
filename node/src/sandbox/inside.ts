/**
 * The script sandbox's own half: runs inside the plugin's context, before the plugin.
 *
 * Not one function or object of the worker's realm comes in here. The worker evaluates short scripts
 * that pass strings, and reads one string back (the outbox); timers are kept in here and the
 * worker is only told when the next one is due. Handing in host callbacks, as most sandboxes do, was
 * rejected: every one of them is a way out (`callback.constructor("return process")()`).
 *
 * `inside` is turned to text, like {@link kernel}, and must refer to nothing outside its own body.
 */
import type { CallContext } from "../worker/context";
import type { Kernel, KernelPort } from "../worker/kernel";
import type { FromWorker, PluginContext, ToWorker } from "../worker/protocol";

/** What the worker's scripts reach under the name `__plugward`. */
export interface Inside {
  /** Handles one message of the main thread, given as JSON. */
  turn(json: string): void;
  /** Builds the plugin from `module.exports` or the script's `class Plugin`. */
  load(declared: unknown, id: number, json: string): void;
  /** Notes the global names before a snippet runs. */
  begin(): void;
  /** Answers a snippet's completion value. */
  settle(id: number, completion: unknown): void;
  /** Answers what a snippet or plugin script threw. */
  fail(id: number, loading: boolean, error: unknown): void;
  /** Tells of an error that reached nobody: an unhandled rejection, say. */
  crash(error: unknown): void;
  /** Runs the timers that are due. */
  tick(): void;
  /** The outbox as `<milliseconds until the next timer, or nothing>|<JSON array>`, emptied by reading. */
  flush(): string;
}

/** Prepares the global object and answers the worker's entry points. */
export function inside(makeKernel: (port: KernelPort) => Kernel): Inside {
  "use strict";
  type Timer = { id: number; at: number; every: number | undefined; run: () => unknown };
  const { stringify, parse } = JSON;
  const { defineProperty, getOwnPropertyNames, freeze } = Object;
  const now = Date.now;
  const global = globalThis as unknown as Record<string, unknown>;
  const MAX_TIMERS = 10_000;
  const OUTBOX_LIMIT = 16 * 1024 * 1024;
  let outbox: string[] = [];
  let size = 0;
  let timers: Timer[] = [];
  let lastTimer = 0;
  let before = new Set<string>();

  function send(message: FromWorker): void {
    const text = stringify(message);
    if (size + text.length > OUTBOX_LIMIT) throw new RangeError("more than " + OUTBOX_LIMIT + " characters at once");
    size += text.length;
    outbox.push(text);
  }

  /** What a script needs of an `AbortSignal`; its realm has none. */
  class Signal {
    #reason: Error | undefined;
    #listeners: ((event: { type: string; target: Signal }) => unknown)[] = [];
    onabort: ((event: { type: string; target: Signal }) => unknown) | null = null;

    get aborted(): boolean {
      return this.#reason !== undefined;
    }

    get reason(): Error | undefined {
      return this.#reason;
    }

    throwIfAborted(): void {
      if (this.#reason) throw this.#reason;
    }

    addEventListener(type: string, listener: () => unknown): void {
      if (type === "abort" && typeof listener === "function" && !this.#listeners.includes(listener)) this.#listeners.push(listener);
    }

    removeEventListener(_type: string, listener: () => unknown): void {
      this.#listeners = this.#listeners.filter((known) => known !== listener);
    }

    static abort(signal: Signal): void {
      if (signal.#reason) return;
      signal.#reason = new Error("This operation was aborted");
      signal.#reason.name = "AbortError";
      const told = [...signal.#listeners, signal.onabort];
      signal.#listeners = [];
      for (const listener of told) if (typeof listener === "function") guarded(() => listener({ type: "abort", target: signal }));
    }
  }
  const abortSignal = Signal.abort;
  const makeContext = (): CallContext => freeze({ signal: new Signal() as unknown as AbortSignal });
  const abort = (context: CallContext): void => abortSignal(context.signal as unknown as Signal);

  const kernel = makeKernel({ send, makeContext, abort });

  function addTimer(run: unknown, ms: unknown, repeat: boolean, args: unknown[]): number {
    if (typeof run !== "function") throw new TypeError("a timer needs a function");
    if (timers.length >= MAX_TIMERS) throw new RangeError("too many timers");
    const wait = Math.max(1, Math.min(Number(ms) || 0, 2 ** 31 - 1));
    lastTimer += 1;
    timers.push({ id: lastTimer, at: now() + wait, every: repeat ? wait : undefined, run: () => run(...args) });
    return lastTimer;
  }

  function clearTimer(id: unknown): void {
    timers = timers.filter((timer) => timer.id !== id);
  }

  function guarded(run: () => unknown): void {
    try {
      run();
    } catch (error) {
      send({ op: "crashed", thrown: kernel.describe(error) });
    }
  }

  function tick(): void {
    const time = now();
    const due = timers.filter((timer) => timer.at <= time).sort((a, b) => a.at - b.at);
    for (const timer of due) {
      if (!timers.includes(timer)) continue;
      if (timer.every === undefined) clearTimer(timer.id);
      else timer.at = time + timer.every;
      guarded(timer.run);
    }
  }

  function flush(): string {
    let next = Infinity;
    for (const timer of timers) next = Math.min(next, timer.at);
    const wait = next === Infinity ? "" : String(Math.max(0, next - now()));
    const text = wait + "|[" + outbox.join(",") + "]";
    outbox = [];
    size = 0;
    return text;
  }

  function fixed(name: string, value: unknown): void {
    defineProperty(global, name, { value, writable: true, enumerable: false, configurable: true });
  }

  /** `Error` must stay the one whose stacks are plain text: a call site object is a way out. */
  function lockErrors(): void {
    for (const key of ["prepareStackTrace", "captureStackTrace"]) {
      defineProperty(Error, key, { value: undefined, writable: false, configurable: false });
    }
    defineProperty(Error, "stackTraceLimit", { value: 20, writable: false, configurable: false });
    defineProperty(global, "Error", { value: Error, writable: false, configurable: false });
  }

  function removeDangerous(): void {
    for (const name of ["WebAssembly", "SharedArrayBuffer", "Atomics", "FinalizationRegistry"]) {
      if (!Reflect.deleteProperty(global, name)) throw new Error(name + " cannot be removed");
    }
  }

  function addConveniences(): void {
    const say = (level: string) => (...parts: unknown[]): void => kernel.log(level, parts);
    fixed("console", { debug: say("debug"), log: say("info"), info: say("info"), warn: say("warn"), error: say("error") });
    fixed("setTimeout", (run: unknown, ms: unknown, ...args: unknown[]) => addTimer(run, ms, false, args));
    fixed("setInterval", (run: unknown, ms: unknown, ...args: unknown[]) => addTimer(run, ms, true, args));
    fixed("setImmediate", (run: unknown, ...args: unknown[]) => addTimer(run, 0, false, args));
    for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) fixed(name, clearTimer);
    fixed("queueMicrotask", (run: () => unknown) => void Promise.resolve().then(() => guarded(run)));
    const module = { exports: {} };
    fixed("module", module);
    fixed("exports", module.exports);
  }

  function exportsOf(): unknown {
    const exported = (global["module"] as { exports?: unknown } | undefined)?.exports;
    const empty = typeof exported === "object" && exported !== null && getOwnPropertyNames(exported).length === 0;
    return exported === null || empty ? undefined : exported;
  }

  /** A snippet's answer as a record: its object, its exports, its new globals, or `{result}`. */
  function recordOf(completion: unknown): unknown {
    const exported = exportsOf();
    if (exported !== undefined) return typeof exported === "object" ? exported : { result: exported };
    if (completion === undefined) {
      const made: Record<string, unknown> = {};
      for (const name of getOwnPropertyNames(global)) {
        if (!before.has(name) && typeof global[name] !== "function") made[name] = global[name];
      }
      return made;
    }
    const plain = typeof completion === "object" && completion !== null && !Array.isArray(completion);
    return plain ? completion : { result: completion };
  }

  async function settle(id: number, completion: unknown): Promise<void> {
    try {
      const value = recordOf(await completion);
      try {
        send({ op: "result", id, value });
      } catch (error) {
        send({ op: "unserializable", id, message: kernel.describe(error).message });
      }
    } catch (error) {
      send({ op: "threw", id, thrown: kernel.describe(error) });
    }
  }

  function fail(id: number, loading: boolean, error: unknown): void {
    const thrown = kernel.describe(error);
    send(loading ? { op: "unloadable", id, step: "import", thrown } : { op: "threw", id, thrown });
  }

  lockErrors();
  removeDangerous();
  addConveniences();
  return freeze({
    turn: (json: string) => kernel.handle(parse(json) as ToWorker),
    load(declared: unknown, id: number, json: string): void {
      void kernel.load(id, exportsOf() ?? declared, parse(json) as PluginContext);
    },
    begin(): void {
      before = new Set(getOwnPropertyNames(global));
    },
    settle: (id: number, completion: unknown) => void settle(id, completion),
    fail,
    crash: (error: unknown) => send({ op: "crashed", thrown: kernel.describe(error) }),
    tick,
    flush,
  });
}
