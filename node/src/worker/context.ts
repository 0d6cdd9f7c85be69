/** What a tool is given beside its arguments: the second argument of every tool. */

/** The call that a tool is running in. */
export interface CallContext {
  /** Aborted when nobody wants the call's result any more: stop, let go, return or throw. */
  readonly signal: AbortSignal;
}

/** Most tools never ask for their signal, and making one costs more than calling them. */
class LazyContext implements CallContext {
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    return this.#own().signal;
  }

  #own(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }

  /** Not a method: a plugin is not to abort its own call. */
  static abort(context: CallContext): void {
    if (context instanceof LazyContext) context.#own().abort();
  }
}

/** The context of one call. */
export function makeContext(): CallContext {
  return new LazyContext();
}

/** Nobody wants the result of that call any more. */
export const abort = LazyContext.abort;
