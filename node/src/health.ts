/** Health over HTTP, for `node:http`, Express and Fastify. Built from the core's snapshot: it runs no plugin, takes no lock and never answers 500. */
import type { Finding } from "./finding";
import type { IncomingMessage, ServerResponse } from "node:http";

/** What the core says of one plugin; `GET /v1/plugins` lists these. */
export interface PluginHealth {
  readonly name: string;
  readonly state: "LOADED" | "INITIALIZED" | "RUNNING" | "FAILED" | "UNAVAILABLE";
  readonly description: string | null;
  readonly reason: string | null;
  readonly version: string | null;
  readonly uptime_seconds: number | null;
  readonly last_used: string | null;
  readonly success_count: number;
  readonly error_count: number;
  readonly last_execution_time_ms: number | null;
  readonly avg_execution_time_ms: number | null;
  readonly generation: number;
  readonly restarts: number;
  readonly kind: string;
  readonly isolation: string;
  readonly pid: number | null;
  readonly in_flight: number;
  readonly waiting: number;
  readonly spares: number;
  readonly abandoned_threads: number;
  readonly late_results: number;
  readonly quarantined: boolean;
  readonly quarantine_reason: string | null;
  readonly last_error: unknown;
  readonly findings: readonly Finding[];
  readonly assumptions: readonly unknown[];
  readonly tools: readonly string[];
}

/** Counts by state, and readiness. */
export interface Summary {
  readonly ready: boolean;
  readonly reason: string | null;
  readonly total: number;
  readonly available: number;
  readonly failed: number;
  readonly unavailable: number;
  readonly loading: number;
  readonly log: Readonly<Record<string, number>>;
}

/** What the handler reads; {@link Runtime} is one. */
export interface HealthSource {
  healthJson(): string;
  pluginHealthJson(name: string): string | undefined;
  summaryJson(): string;
  metricsText(): string;
}

/** Fastify's pair, as far as it matters here. */
interface FastifyRequestLike {
  readonly raw: IncomingMessage;
}
interface FastifyReplyLike {
  readonly raw: ServerResponse;
  hijack(): unknown;
}

/** Serves health; answers whether the request was one of its own. */
export interface HealthHandler {
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): boolean;
  (request: FastifyRequestLike, reply: FastifyReplyLike): boolean;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const JSON_TYPE = "application/json; charset=utf-8";
const METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT_TYPE = "text/plain; charset=utf-8";

/**
 * Answers `GET /v1/plugins`, `/v1/plugins/NAME/health`, `/livez`, `/readyz` and `/metrics`. Anything
 * else goes to `next()`, or is a 404 where there is none.
 */
export function healthHandler(source: HealthSource): HealthHandler {
  return (request: IncomingMessage | FastifyRequestLike, response: ServerResponse | FastifyReplyLike, next?: (error?: unknown) => void): boolean => {
    if ("hijack" in response) response.hijack();
    const raw = "raw" in request ? request.raw : request;
    const out = "raw" in response ? response.raw : response;
    const answer = answerTo(source, raw);
    if (!answer && next) {
      next();
      return false;
    }
    send(raw, out, answer ?? json(404, JSON.stringify({ error: "not found" })));
    return answer !== undefined;
  };
}

function json(status: number, body: string): Answer {
  return { status, type: JSON_TYPE, body };
}

function answerTo(source: HealthSource, request: IncomingMessage): Answer | undefined {
  if (request.method !== "GET" && request.method !== "HEAD") return undefined;
  const path = (request.url ?? "/").replace(/[?#].*$/su, "").replace(/(?<=.)\/+$/u, "");
  if (path === "/v1/plugins") return json(200, source.healthJson());
  if (path === "/livez") return { status: 200, type: TEXT_TYPE, body: "ok" };
  if (path === "/readyz") return readiness(source);
  if (path === "/metrics") return { status: 200, type: METRICS_TYPE, body: source.metricsText() };
  const one = /^\/v1\/plugins\/([^/]+)\/health$/u.exec(path)?.[1];
  return one === undefined ? undefined : plugin(source, one);
}

function readiness(source: HealthSource): Answer {
  const text = source.summaryJson();
  return json((JSON.parse(text) as Summary).ready ? 200 : 503, text);
}

function plugin(source: HealthSource, encoded: string): Answer {
  let name = encoded;
  try {
    name = decodeURIComponent(encoded);
  } catch {
    // A name with a stray % is looked up as it stands.
  }
  const found = source.pluginHealthJson(name);
  return found === undefined ? json(404, JSON.stringify({ error: "no such plugin", name })) : json(200, found);
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const body = Buffer.from(answer.body, "utf8");
  response.writeHead(answer.status, { "content-type": answer.type, "content-length": body.byteLength, "cache-control": "no-store" });
  response.end(request.method === "HEAD" ? undefined : body);
}
