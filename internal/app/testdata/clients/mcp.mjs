// The official client of the Model Context Protocol for Node against /mcp.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const connect = async (token) => {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(process.env.BYLINE_URL + "/mcp"), { requestInit: { headers: { Authorization: "Bearer " + token } } }));
  return client;
};
const client = await connect(process.env.BYLINE_TOKEN);
const { tools } = await client.listTools();
for (const name of ["search_documents", "get_passage", "ask", "list_drafts", "get_draft", "generate_draft", "refine_draft"]) assert.ok(tools.some((t) => t.name === name), name);

// The client holds structured answers against the schemas of the tools.
const call = async (name, args) => {
  const r = await client.callTool({ name, arguments: args });
  assert.ok(!r.isError, name + ": " + r.content[0]?.text);
  return r.structuredContent;
};
const { passages } = await call("search_documents", { query: "When was the boiler installed?" });
assert.equal((await call("get_passage", { passage_id: passages[0].passage_id })).text, passages[0].text);
const answer = await call("ask", { question: "When was the boiler installed?" });
assert.match(answer.answer, /\[1\]/);
assert.ok(answer.evidence && answer.sources[0].quote);
const { resources } = await client.listResources();
const document = resources.find((r) => r.name === "heating.md");
assert.match((await client.readResource({ uri: document.uri })).contents[0].text, /boiler/);
assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 2);
const begun = await call("generate_draft", { document_ids: [passages[0].document_id], title: "Warm rooms" });
let draft;
for (let n = 0; n < 600; n++) {
  draft = await call("get_draft", { draft_id: begun.draft_id });
  if (draft.status !== "generating") break;
  await new Promise((done) => setTimeout(done, 50));
}
assert.notEqual(draft.status, "generating");
assert.equal((await call("list_drafts", {})).total, 1);
if (draft.version > 0) {
  const refined = await call("refine_draft", { draft_id: begun.draft_id, feedback: "Shorter." });
  assert.ok(refined.run_id && refined.draft_id === begun.draft_id);
}
const missing = await client.callTool({ name: "get_draft", arguments: { draft_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV" } });
assert.ok(missing.isError && missing.content[0].text === "There is no such draft.");
await assert.rejects(client.readResource({ uri: "document://01ARZ3NDEKTSV4RRFFQ69G5FAV" }));
await client.close();
await assert.rejects(connect("wrong"));
console.log("ok");
