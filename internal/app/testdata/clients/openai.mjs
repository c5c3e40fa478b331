// The official openai client for Node against /v1: what it reads must be what it expects.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BYLINE_URL + "/v1", apiKey: process.env.BYLINE_TOKEN, maxRetries: 0 });
const question = [{ role: "user", content: "When was the boiler installed?" }];

const models = [];
for await (const m of client.models.list()) models.push(m.id);
assert.deepEqual(models, ["byline", "byline-embedding", "openai/fake-1", "openai/fake-2"]);
assert.equal((await client.models.retrieve("openai/fake-1")).id, "openai/fake-1");

const answer = await client.chat.completions.create({ model: "byline", messages: question });
const message = answer.choices[0].message;
assert.match(message.content, /\[1\]/);
assert.equal(answer.choices[0].finish_reason, "stop");
assert.ok(answer.usage.total_tokens > 0);
for (const { type, url_citation: c } of message.annotations) {
  assert.equal(type, "url_citation");
  assert.equal([...message.content].slice(c.start_index, c.end_index).join(""), "[1]");
  assert.equal(c.title, "heating.md");
  const source = await fetch(c.url, { headers: { Authorization: "Bearer " + process.env.BYLINE_TOKEN } });
  assert.match(await source.text(), /boiler/);
}

const stream = client.chat.completions.stream({ model: "byline", messages: question, stream_options: { include_usage: true } });
let streamed = "";
stream.on("content", (delta) => (streamed += delta));
const final = await stream.finalChatCompletion();
assert.equal(streamed, message.content);
assert.equal(final.choices[0].message.content, message.content);
assert.ok(final.usage.total_tokens > 0);

const pong = await client.chat.completions.create({ model: "openai/fake-2", messages: [{ role: "developer", content: "Say pong." }, { role: "user", content: "ping" }] });
assert.equal(pong.choices[0].message.content, "pong pong");
let words = "";
for await (const chunk of await client.chat.completions.create({ model: "fake-1", messages: [{ role: "user", content: "ping" }], stream: true })) words += chunk.choices[0]?.delta?.content ?? "";
assert.equal(words, "pong pong");
const called = await client.chat.completions.create({ model: "fake-1", messages: [{ role: "user", content: "use the tool" }], tools: [{ type: "function", function: { name: "look", parameters: { type: "object" } } }] });
assert.equal(called.choices[0].finish_reason, "tool_calls");
assert.equal(called.choices[0].message.tool_calls[0].function.name, "look");
const parsed = await client.chat.completions.parse({ model: "fake-1", messages: [{ role: "user", content: "ping" }], response_format: { type: "json_schema", json_schema: { name: "x", strict: true, schema: { type: "object" } } } });
assert.deepEqual(JSON.parse(parsed.choices[0].message.content), { ok: true });

// Without encoding_format this client asks for base64 and unpacks it.
const packed = (await client.embeddings.create({ model: "byline-embedding", input: ["The boiler is old."] })).data[0].embedding;
const plain = (await client.embeddings.create({ model: "byline-embedding", input: "The boiler is old.", encoding_format: "float" })).data[0].embedding;
assert.ok(plain.length > 50 && packed.length === plain.length);
plain.forEach((v, i) => assert.ok(Math.abs(v - packed[i]) < 1e-6));

await assert.rejects(client.chat.completions.create({ model: "byline", messages: question, n: 2 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "n" && e.code === "unsupported_value");
await assert.rejects(client.models.retrieve("nothing"), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
await assert.rejects(new OpenAI({ baseURL: process.env.BYLINE_URL + "/v1", apiKey: "wrong", maxRetries: 0 }).models.list(), (e) => e instanceof OpenAI.AuthenticationError && e.code === "invalid_api_key");
console.log("ok");
