/** Snippets: code of no plugin, which runs once. */
import { type BuildSite, startWorker } from "./builder";
import { cancelled } from "./caller";
import { type Outcome, failure, outcomeOf } from "./outcome";
import { errorValue } from "./plugward_error";

/** Runs a snippet in a sandbox of its own, which no plugin shares. Never rejects. */
export async function runSnippet(site: BuildSite, code: string, deadlineMs: number, memoryMb: number, signal?: AbortSignal): Promise<Outcome> {
  const [name, tool, since] = ["sandbox", "execute", performance.now()] as const;
  if (signal?.aborted) return cancelled(name, tool);
  const sandbox = startWorker(site, "sandbox", { memoryMb });
  if ("fault" in sandbox) return failure(name, tool, errorValue(sandbox.fault.code, sandbox.fault.message));
  const running = sandbox.beginScript(code, "snippet.js");
  const timer = setTimeout(() => running.expire(deadlineMs), deadlineMs);
  signal?.addEventListener("abort", running.cancel, { once: true });
  const reply = await running.answer;
  signal?.removeEventListener("abort", running.cancel);
  clearTimeout(timer);
  void sandbox.stop();
  if (signal?.aborted) return cancelled(name, tool, { effect: "stopped", elapsedMs: performance.now() - since, generation: 0, callId: 0 });
  const facts = { elapsedMs: performance.now() - since, generation: 0, callId: 0 };
  if (reply.ok) return outcomeOf(name, tool, { ...facts, effect: "completed" }, reply.value);
  const { code: why, message, type, traceback, effect } = reply.fault;
  const error = { ...errorValue(why, message), ...(type === undefined ? {} : { type }), ...(traceback === undefined ? {} : { traceback }) };
  return failure(name, tool, error, { ...facts, effect });
}
