/** Generations that are on their way out: each says goodbye once, whoever asks for it, and whoever waits hears of its end. */
import type { Executor } from "./executor/executor";

/** @internal The goodbyes under way, of one runtime. */
export class Goodbyes {
  readonly #plugins = new Map<string, Map<number, Promise<void>>>();

  /** Ends a generation; its goodbye begins now. */
  begin(plugin: string, generation: number, executor: Executor): void {
    const those = this.#plugins.get(plugin) ?? new Map<number, Promise<void>>();
    this.#plugins.set(plugin, those.set(generation, executor.stop().finally(() => this.#over(plugin, generation))));
  }

  /** Whether that generation still says goodbye. */
  has(plugin: string, generation: number): boolean {
    return this.#plugins.get(plugin)?.has(generation) ?? false;
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
