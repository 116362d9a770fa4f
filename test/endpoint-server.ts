// An OpenAI-compatible server of a few lines, which answers as a test tells it to.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the server saw it. */
export interface SeenRequest {
  path: string;
  authorization: string | undefined;
  body: { model?: string; prompt?: string; messages?: { role: string; content: string }[]; stream?: boolean } & Record<
    string,
    unknown
  >;
}

export type Behave = (request: SeenRequest, response: ServerResponse, count: number) => void;

/** A server that is closed when it goes out of scope. */
export class EndpointServer implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  behave: Behave;

  private constructor(server: Server, behave: Behave) {
    this.#server = server;
    this.behave = behave;
  }

  static async start(behave: Behave = answering(() => "yes"), port = 0): Promise<EndpointServer> {
    const server = createServer((request, response) => void self.#serve(request, response));
    const self: EndpointServer = new EndpointServer(server, behave);
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return self;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  /** Questions with an answer to stream. */
  get questions(): SeenRequest[] {
    return this.seen.filter(({ body }) => body.stream === true);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const bytes of request) text += String(bytes);
    const seen = {
      path: request.url!,
      authorization: request.headers.authorization,
      body: text === "" ? {} : JSON.parse(text),
    };
    this.seen.push(seen as SeenRequest);
    this.behave(seen as SeenRequest, response, this.seen.length);
  }

  /** Cuts every connection, as a process that is killed does. */
  kill(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
  }
}

/** Streams an answer in pieces, with usage; lists one model; knows JSON mode, and no tools. */
export function answering(answer: (question: string) => string): Behave {
  return (request, response) => {
    const { path, body } = request;
    if (path.endsWith("/models")) return json(response, 200, { data: [{ id: "tiny", max_model_len: 512 }] });
    if (path.includes("/fine_tuning")) return json(response, 404, { error: { message: "no such path" } });
    if (body["tools"]) return json(response, 400, { error: { message: "tools are not supported" } });
    if (!body.stream) return json(response, 200, { choices: [{ message: { content: "{}" } }] });
    const text = answer(body.messages?.at(-1)?.content ?? body.prompt ?? "");
    stream(response, [...text]);
    response.end("data: [DONE]\n\n");
  };
}

/** The head of a stream and its pieces, with no end. */
export function stream(response: ServerResponse, pieces: readonly string[], finish: string | null = "stop"): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (event: object): void => void response.write(`data: ${JSON.stringify(event)}\n\n`);
  for (const piece of pieces) send({ choices: [{ delta: { content: piece }, text: piece }] });
  if (finish === null) return;
  send({ choices: [{ delta: {}, finish_reason: finish }] });
  send({ choices: [], usage: { prompt_tokens: 10, completion_tokens: pieces.length } });
}

export function json(
  response: ServerResponse,
  status: number,
  document: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(document));
}
