// bench/harness.py for Node: competitors take turns, the order rotates, single calls are timed one by one.

const clock = () => process.hrtime.bigint();
/** What calls answer goes here, so that V8 cannot leave a call out. */
const sink = { got: undefined };

/** A statement, compiled into timing loops of its own, so that no competitor shares its call sites with another. */
export class Statement {
  constructor(name, role, statement, names = {}) {
    this.name = name;
    this.role = role;
    const known = { ...names, clock, sink };
    const compile = (body) => new Function(...Object.keys(known), `return async (number) => { ${body} };`)(...Object.values(known));
    const loop = (inside) => `for (let nth = 0; nth < number; nth += 1) { ${inside} }`;
    this.batch = compile(`const begun = clock(); ${loop(`sink.got = ${statement};`)} return Number(clock() - begun);`);
    this.singles = compile(
      `const took = []; ${loop(`const begun = clock(); sink.got = ${statement}; took.push(Number(clock() - begun));`)} return took;`,
    );
  }
}

/** Nanoseconds a call of every round, and of single calls, for each competitor. */
export async function interleave(competitors, { rounds, batchSeconds, singles }) {
  const numbers = new Map();
  for (const one of competitors) numbers.set(one, await callsFor(one, batchSeconds));
  const took = new Map(competitors.map((one) => [one, []]));
  for (let turn = 0; turn < rounds; turn += 1) {
    const start = turn % competitors.length;
    for (const one of [...competitors.slice(start), ...competitors.slice(0, start)]) {
      const number = numbers.get(one);
      took.get(one).push((await one.batch(number)) / number);
    }
  }
  const results = [];
  const clocks = await new Statement("clock", "floor", "undefined").singles(1000);
  const empty = clocks.sort((a, b) => a - b)[500];
  for (const one of competitors) {
    results.push({ name: one.name, role: one.role, took: took.get(one), singles: await one.singles(singles), clock: empty });
  }
  return results;
}

/** How many calls fill a batch; also the warm-up, in which V8 compiles the loop. */
async function callsFor(one, seconds) {
  let number = 1;
  let took = 0;
  while ((took = (await one.batch(number)) / 1e9) < seconds / 4 && number < 1 << 26) number *= 2;
  took = (await one.batch(number)) / 1e9;
  return Math.max(1, Math.floor((number * seconds) / Math.max(took, 1e-9)));
}
