/** In a worker: asks the addon to end this worker alone when its heap is full. */
import type { Addon } from "../native";

/** A petabyte. */
const UNLIMITED_MB = 2 ** 30;

/** Where `PluginWorker` says which addon and which worker this is; without it Node's own limit stays. */
export function guardHeap(data: unknown): boolean {
  const { addon, token, memoryMb } = (data ?? {}) as { addon?: unknown; token?: unknown; memoryMb?: unknown };
  if (typeof addon !== "string" || typeof token !== "number") return false;
  return (require(addon) as Addon).guardHeap(token, typeof memoryMb === "number" ? memoryMb : UNLIMITED_MB);
}
