/** Keeps the event loop running while the addon owes an answer: the addon itself never does. */
export class KeepAlive {
  #held = 0;
  #timer: NodeJS.Timeout | undefined;

  /** One more answer is owed. */
  hold(): void {
    this.#held += 1;
    this.#timer ??= setInterval(() => undefined, 2 ** 30);
  }

  /** One answer came. */
  release(): void {
    this.#held -= 1;
    if (this.#held > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
