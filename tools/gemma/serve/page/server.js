// Requests to the server that sent the page. Addresses are relative to the page,
// so that it also works below a path of a proxy.

// A response that is an error, or no response (status 0).
export class ServerError extends Error {
  constructor(message, { status = 0, code = null, param = null, retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
    this.retryAfter = retryAfter;  // seconds
  }
}

// Reads server-sent events: yields the data of each, without comments.
async function* eventsOf(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += decoder.decode(value, { stream: !done });
      const events = text.split(/\r?\n\r?\n/);
      text = done ? "" : events.pop();
      for (const event of events) {
        const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
        if (data.length > 0) yield data.join("\n");
      }
      if (done) return;
    }
  } finally {
    // A reader that stops early closes the connection, which ends the request.
    reader.cancel().catch(() => {});
  }
}

function errorOf(response, text) {
  const retryAfter = Number(response.headers.get("retry-after")) || 0;
  const { status } = response;
  try {
    const { error } = JSON.parse(text);
    return new ServerError(String(error.message), { status, code: error.code, param: error.param, retryAfter });
  } catch {
    return new ServerError(`The server answered with status ${status}`, { status, retryAfter });
  }
}

export class Server {
  constructor(key) {
    this.key = key;  // of the API, or ""
  }

  async request(path, body, signal) {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    let response;
    try {
      response = await fetch(path, {
        method: body === undefined ? "GET" : "POST", headers, signal, cache: "no-store",
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError("The server does not answer");
    }
    if (!response.ok) throw errorOf(response, await response.text());
    return response;
  }

  async json(path, body, signal) {
    return (await this.request(path, body, signal)).json();
  }

  // Yields the events of an answer. Throws ServerError if it breaks off.
  async *stream(path, body, signal) {
    const response = await this.request(path, body, signal);
    try {
      for await (const data of eventsOf(response.body)) {
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error) {
          throw new ServerError(String(event.error.message), { status: 200, code: event.error.code, param: event.error.param });
        }
        yield event;
      }
    } catch (error) {
      if (error.name === "AbortError" || error instanceof ServerError) throw error;
      throw new ServerError("The connection ended before the answer did");
    }
    throw new ServerError("The connection ended before the answer did");
  }

  // Whether all models are loaded.
  async isReady() {
    try {
      await this.request("ready");
      return true;
    } catch (error) {
      if (error.status === 503) return false;
      throw error;
    }
  }

  async models() {
    const { data } = await this.json("v1/models");
    return data;
  }

  // Returns ShieldGemma's probabilities by policy, of a message or of an answer
  // to it.
  async moderate(model, input, response, signal) {
    const body = { model, input, ...(response === undefined ? {} : { response }) };
    const { results } = await this.json("v1/moderations", body, signal);
    return results[0].category_scores;
  }
}
