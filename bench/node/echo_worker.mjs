// The plain peer of a thread call: a worker that posts back what it is sent.
import { parentPort } from "node:worker_threads";

parentPort.on("message", (message) => parentPort.postMessage(message));
