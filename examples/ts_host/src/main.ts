/** `npm start`: serves on 127.0.0.1, port `PORT` or 8080. */
import { makeHost } from "./server.js";

const { app, runtime } = await makeHost();
const port = Number(process.env["PORT"] ?? 8080);
const server = app.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/v1/plugins`));
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server.close();
    void runtime.close();
  });
}
