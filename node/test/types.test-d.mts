/** Types as users meet them; checked by `npm run types`. Each `@ts-expect-error` fails if the line compiles. */
import { type CallContext, Code, EventBus, healthHandler, type Outcome, PluginHost, PlugwardError, Runtime, ToolRunner } from "plugward";
import express from "express";
import { createServer } from "node:http";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const rt = new Runtime({ defaultDeadlineMs: 1000, onLog: (record) => record.message.length });
// @ts-expect-error unknown option
new Runtime({ deadline: 5 });
// @ts-expect-error not a number
new Runtime({ defaultDeadlineMs: "5" });

const outcome = await rt.call<{ n: number }>("p", "t", { x: 1 }, { deadlineMs: 5 });
same<typeof outcome, Outcome<{ n: number }>>(true);
if (outcome.ok) {
  same<number, typeof outcome.result.n>(true);
  // @ts-expect-error there is no error on a success
  outcome.error;
} else {
  same<string, typeof outcome.code>(true);
  // @ts-expect-error there is no result on a failure
  outcome.result;
}
// @ts-expect-error outcomes are read-only
outcome.ok = true;
// @ts-expect-error the tool's name is missing
rt.call("p");

const reports = await rt.load("plugins/");
same<number, (typeof reports)["length"]>(true);
const report = await rt.load({ name: "p", tools: { go: (args: { n: number }) => args.n } });
same<number, typeof report.generation>(true);
// @ts-expect-error a plugin needs a name
await rt.load({ tools: { go: () => 1 } });

const host = new PluginHost(console, { executeDeadlineMs: 5 });
same<Promise<boolean>, ReturnType<typeof host.loadPlugin>>(true);
same<Promise<unknown>, ReturnType<typeof host.executePluginCommand>>(true);
same<Promise<Record<string, unknown>>, ReturnType<typeof host.execute>>(true);
same<string[], ReturnType<typeof host.getLoadedPlugins>>(true);
same<EventBus, ReturnType<typeof host.getEventBus>>(true);
// @ts-expect-error code is text
void host.execute(5);

const bus = new EventBus();
const remove = bus.on<{ n: number }>("e", (payload) => payload.n, { priority: "lifecycle" });
same<() => void, typeof remove>(true);
// @ts-expect-error no such priority
bus.on("e", () => 1, { priority: "urgent" });
same<string[], ReturnType<typeof bus.getRegisteredEvents>>(true);

same<"PW-CALL-005", typeof Code.CallDeadline>(true);
const n: number = await new ToolRunner(rt).runPluginTool<number>("p", "t");
void n;
declare const error: PlugwardError;
same<number, typeof error.status>(true);

express().use(healthHandler(rt));
createServer((request, response) => void healthHandler(rt)(request, response));

await rt.call("p", "t", {}, { signal: AbortSignal.timeout(5) });
// @ts-expect-error the controller is not its signal
await rt.call("p", "t", {}, { signal: new AbortController() });
await rt.load({ name: "p", tools: { go: async (args: { n: number }, { signal }) => same<AbortSignal, typeof signal>(args.n > 0 ? true : true) } });
same<AbortSignal, CallContext["signal"]>(true);
await new ToolRunner(rt).runPluginTool("p", "t", {}, { signal: AbortSignal.timeout(5) });
await host.executePluginCommand("p", "t", {}, { signal: AbortSignal.timeout(5) });
await host.execute("1", { signal: AbortSignal.timeout(5) });
const findings = await rt.check("plugin", { deep: true, importTimeoutMs: 5, progress: (path, done, total) => same<[string, number, number], [typeof path, typeof done, typeof total]>(true) });
same<boolean, (typeof findings)[number]["ok"]>(true);
// @ts-expect-error no such option
await rt.check("plugin", { shallow: true });
