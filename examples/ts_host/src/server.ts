/** A small Express server whose plugins may do what they like. */
import express, { type Express } from "express";
import { fileURLToPath } from "node:url";
import { healthHandler, Runtime } from "plugward";

const PLUGINS = fileURLToPath(new URL("../../plugins/", import.meta.url));

/** The server and the runtime behind it. */
export interface Host {
  readonly app: Express;
  readonly runtime: Runtime;
}

/** Whole seconds until the error is over by itself, where it knows: a plugin that is being restarted. */
export function retryAfter(details: unknown): number | undefined {
  const ms = (details as { retry_after_ms?: unknown } | undefined)?.retry_after_ms;
  return typeof ms === "number" ? Math.max(1, Math.ceil(ms / 1000)) : undefined;
}

/** Loads every plugin of the folder; one that cannot be loaded is listed with its reason. */
export async function makeHost(folder = PLUGINS): Promise<Host> {
  const runtime = new Runtime({ onLog: (record) => console.error(`${record.level} ${record.plugin ?? "-"} ${record.message}`) });
  await runtime.load(folder);
  const app = express();
  app.use(healthHandler(runtime));
  app.use(express.json({ limit: "1mb" }));
  app.post("/v1/plugins/:plugin/tools/:tool", async (request, response) => {
    const { plugin, tool } = request.params;
    const left = new AbortController();
    response.on("close", () => left.abort());
    const outcome = await runtime.call(plugin, tool, request.body ?? {}, { signal: left.signal });
    const wait = outcome.ok ? undefined : retryAfter(outcome.details);
    if (wait !== undefined) response.set("Retry-After", String(wait));
    // The stack is for the log, not for the client.
    const { traceback: _, ...answer } = outcome as typeof outcome & { traceback?: string };
    response.status(outcome.ok ? 200 : outcome.http_status).json(answer);
  });
  app.post("/v1/plugins/:plugin/restart", async (request, response) => {
    const report = await runtime.restart(request.params.plugin);
    response.status(report.error ? report.error.http_status : 200).json(report);
  });
  return { app, runtime };
}
