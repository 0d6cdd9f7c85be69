/** Generations that are on their way out: each says goodbye once, whoever asks for it, and whoever waits hears of its end. */
import type { Executor } from "./executor/executor";

/** @internal The goodbyes under way, of one runtime. */
export class Goodbyes {
  readonly #plugins = new Map<string, Map<number, Promise<void>>>();

  /** Ends a generation: its goodbye begins now. */
  begin(plugin: string, generation: number, executor: Executor): Promise<void> {
    const those = this.#plugins.get(plugin) ?? new Map<number, Promise<void>>();
    const goodbye = executor.stop().finally(() => this.#over(plugin, generation));
    this.#plugins.set(plugin, those.set(generation, goodbye));
    return goodbye;
  }

  /** The goodbye of a generation, while it is under way. */
  of(plugin: string, generation: number): Promise<void> | undefined {
    return this.#plugins.get(plugin)?.get(generation);
  }

  /** Those of a plugin that are under way now, or all of them, have ended. */
  async ended(plugin?: string): Promise<void> {
    const those = plugin === undefined ? [...this.#plugins.values()] : [this.#plugins.get(plugin) ?? new Map<number, Promise<void>>()];
    await Promise.all(those.flatMap((generations) => [...generations.values()]));
  }

  #over(plugin: string, generation: number): void {
    const those = this.#plugins.get(plugin);
    those?.delete(generation);
    if (those?.size === 0) this.#plugins.delete(plugin);
  }
}
