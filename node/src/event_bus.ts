/**
 * Events between the host and its plugins.
 *
 * A listener that throws, rejects or never settles is reported; it neither ends the host nor delays
 * another listener. Delivery is synchronous and in order of priority, as hosts with a plain
 * `EventEmitter` expect; only the settling of asynchronous listeners is awaited by {@link EventBus.emit}.
 */

/** Called with the payload of an event. */
export type Listener<T = unknown> = (payload: T) => unknown;

/** A named priority, or a number: higher is called earlier. */
export type Priority = "lifecycle" | "readiness" | "progress" | "user" | number;

/** Options of {@link EventBus.on}. */
export interface ListenOptions {
  /** Default `"user"`. */
  readonly priority?: Priority;
}

/** What a listener did wrong. */
export interface ListenerFault {
  /** The event that it listened to. */
  readonly event: string;
  /** `threw`, `rejected` or `timeout` (it had not settled after {@link EventBusOptions.settleMs}). */
  readonly what: "threw" | "rejected" | "timeout";
  /** What it threw or rejected with; may be anything, `undefined` included. */
  readonly error: unknown;
}

/** Options of {@link EventBus}. */
export interface EventBusOptions {
  /** Told of every faulty listener; by default the fault is written to `console.error`. */
  readonly onFault?: (fault: ListenerFault) => void;
  /** How long {@link EventBus.emit} waits for asynchronous listeners, in milliseconds; default 5000. */
  readonly settleMs?: number;
}

interface Entry {
  readonly listener: Listener;
  readonly rank: number;
}

const RANKS = { lifecycle: 300, readiness: 200, progress: 100, user: 0 } as const;

function rankOf(priority: Priority | undefined): number {
  if (typeof priority === "number") return Number.isNaN(priority) ? 0 : priority;
  return RANKS[priority ?? "user"];
}

function writeFault(fault: ListenerFault): void {
  let text = "(unprintable)";
  try {
    const error = fault.error;
    text = error instanceof Error ? String(error.message) : String(error);
  } catch {
    // An error whose own text raises is still reported, without its text.
  }
  console.error(`plugward: a listener of "${fault.event}" ${fault.what}: ${text.slice(0, 2000)}`);
}

/** Topics with listeners; see the module's text for its promises. */
export class EventBus {
  readonly #entries = new Map<string, readonly Entry[]>();
  readonly #onFault: (fault: ListenerFault) => void;
  readonly #settleMs: number;

  constructor(options: EventBusOptions = {}) {
    this.#onFault = options.onFault ?? writeFault;
    this.#settleMs = options.settleMs ?? 5000;
  }

  /** Adds a listener and returns a function that removes it again. The same pair is kept once. */
  on<T = unknown>(event: string, listener: Listener<T>, options: ListenOptions = {}): () => void {
    if (typeof listener !== "function") throw new TypeError("an EventBus listener must be a function");
    const entry: Entry = { listener: listener as Listener, rank: rankOf(options.priority) };
    const others = (this.#entries.get(event) ?? []).filter((known) => known.listener !== listener);
    // The sort is stable: equal ranks stay in the order of their subscription.
    this.#entries.set(event, [...others, entry].sort((a, b) => b.rank - a.rank));
    return () => this.off(event, listener);
  }

  /** Removes a listener; one that is not there is no error. */
  off<T = unknown>(event: string, listener: Listener<T>): void {
    const rest = (this.#entries.get(event) ?? []).filter((known) => known.listener !== listener);
    if (rest.length > 0) this.#entries.set(event, rest);
    else this.#entries.delete(event);
  }

  /**
   * Calls every listener before it returns. The promise never rejects and resolves when the
   * asynchronous listeners have settled, at the latest after `settleMs`.
   */
  emit(event: string, payload?: unknown): Promise<void> {
    const waits: Promise<void>[] = [];
    for (const { listener } of this.#entries.get(event) ?? []) {
      const wait = this.#deliver(event, listener, payload);
      if (wait) waits.push(wait);
    }
    return Promise.all(waits).then(() => undefined);
  }

  /** The events that have at least one listener, sorted. */
  getRegisteredEvents(): string[] {
    return [...this.#entries.keys()].sort();
  }

  /** Removes every listener, or those of one event. */
  clear(event?: string): void {
    if (event === undefined) this.#entries.clear();
    else this.#entries.delete(event);
  }

  #deliver(event: string, listener: Listener, payload: unknown): Promise<void> | undefined {
    try {
      const answer = listener(payload);
      return isThenable(answer) ? this.#settle(event, answer) : undefined;
    } catch (error) {
      this.#report({ event, what: "threw", error });
      return undefined;
    }
  }

  #settle(event: string, answer: PromiseLike<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#report({ event, what: "timeout", error: new Error(`not settled after ${this.#settleMs} ms`) });
        resolve();
      }, this.#settleMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      // `resolve` of a fresh promise guards against a `then` that throws or calls back twice.
      new Promise<unknown>((settle) => settle(answer)).then(done, (error: unknown) => {
        this.#report({ event, what: "rejected", error });
        done();
      });
    });
  }

  #report(fault: ListenerFault): void {
    try {
      const answer: unknown = this.#onFault(fault);
      if (isThenable(answer)) new Promise<unknown>((settle) => settle(answer)).catch(() => undefined);
    } catch {
      // A reporter that raises has nobody left to be reported to.
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  return typeof (value as { then?: unknown }).then === "function";
}
