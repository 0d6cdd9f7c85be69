import assert from "node:assert/strict";
import { test } from "node:test";
import { EventBus, type ListenerFault } from "#src/event_bus";

test("listeners are called before emit returns, higher priorities first, equals in order", () => {
  const bus = new EventBus();
  const seen: string[] = [];
  bus.on("x", () => seen.push("user 1"));
  bus.on("x", () => seen.push("progress"), { priority: "progress" });
  bus.on("x", () => seen.push("lifecycle"), { priority: "lifecycle" });
  bus.on("x", () => seen.push("user 2"));
  bus.on("x", () => seen.push("readiness"), { priority: "readiness" });
  bus.on("x", () => seen.push("9000"), { priority: 9000 });
  void bus.emit("x");
  assert.deepEqual(seen, ["9000", "lifecycle", "readiness", "progress", "user 1", "user 2"]);
});

test("a throwing, a rejecting and a never-settling listener are reported, and stop nobody", async () => {
  const faults: ListenerFault[] = [];
  const bus = new EventBus({ onFault: (fault) => faults.push(fault), settleMs: 50 });
  let reached = 0;
  bus.on("x", () => {
    throw undefined;
  });
  bus.on("x", async () => Promise.reject(new Error("no")));
  bus.on("x", () => new Promise(() => undefined));
  bus.on("x", () => ({
    get then(): never {
      throw new Error("trap");
    },
  }));
  bus.on("x", () => (reached += 1));
  await bus.emit("x", 1);
  assert.equal(reached, 1);
  assert.deepEqual(faults.map((fault) => fault.what).sort(), ["rejected", "threw", "threw", "timeout"]);
});

test("a reporter that throws or rejects ends nothing", async () => {
  const bus = new EventBus({
    onFault: (async () => {
      throw new Error("reporter");
    }) as () => void,
  });
  bus.on("x", () => {
    throw Object.freeze({
      toString() {
        throw new Error("unprintable");
      },
    });
  });
  await bus.emit("x");
  await new Promise((resolve) => setTimeout(resolve, 20));
});

test("off, the returned function and clear remove; events are listed while they have listeners", async () => {
  const bus = new EventBus();
  const seen: unknown[] = [];
  const listener = (value: unknown): unknown => seen.push(value);
  bus.on("b", listener);
  bus.on("b", listener);
  const remove = bus.on("a", listener);
  assert.deepEqual(bus.getRegisteredEvents(), ["a", "b"]);
  await bus.emit("b", 1);
  assert.deepEqual(seen, [1], "one listener is kept once");
  remove();
  assert.deepEqual(bus.getRegisteredEvents(), ["b"]);
  bus.off("b", listener);
  bus.off("b", listener);
  await bus.emit("b", 2);
  assert.deepEqual(seen, [1]);
  bus.on("c", listener);
  bus.clear();
  assert.deepEqual(bus.getRegisteredEvents(), []);
});

test("a listener may remove itself and others while it is called", async () => {
  const bus = new EventBus();
  const seen: string[] = [];
  const second = (): unknown => seen.push("second");
  bus.on("x", () => {
    seen.push("first");
    bus.off("x", second);
  });
  bus.on("x", second);
  await bus.emit("x");
  await bus.emit("x");
  assert.deepEqual(seen, ["first", "second", "first"]);
});
