// A page in Chromium follows a session by EventSource and by WebSocket, each let in by a ticket and, when it comes again, by its cookie.
// BYLINE_URL, BYLINE_TOKEN and BYLINE_SESSION say where; CHROMIUM is the browser. Says "following" when both are open, and in the end what they have, as JSON.
import { chromium } from "playwright-core";

const { BYLINE_URL: url, BYLINE_TOKEN: token, BYLINE_SESSION: session, CHROMIUM: executablePath } = process.env;
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
await page.goto(url + "/health"); // any page of the same origin

await page.exposeFunction("say", (text) => console.log(text));
const result = await page.evaluate(async ({ token, session }) => {
  const ticket = async (path) => {
    const r = await fetch("/api/v1/auth/tickets", {
      method: "POST", headers: { Authorization: "Bearer " + token, "Content-Type": "application/json" }, body: JSON.stringify({ path }),
    });
    if (!r.ok) throw new Error(`${r.status} ${await r.text()}`);
    return (await r.json()).url;
  };
  const types = ["run.created", "run.started", "run.restarted", "run.waiting", "run.completed", "run.failed", "run.cancelled", "step.started", "step.progress", "step.completed",
    "survey.ready", "plan.ready", "retrieval.hits", "tool.called", "tool.completed", "section.started", "token", "snapshot", "reset", "citation.added", "citation.rejected",
    "claim.verified", "proposal.ready", "version.created", "usage", "notice", "error", "message.created", "message.updated", "message.deleted", "session.updated", "draft.updated"];

  // What a reader puts together, by the rules of the wire.
  const reader = () => ({ last: 0, opened: 0, problems: [], sections: new Map(), arrivals: [], end: "" });
  const take = (r, e) => {
    if (!e.session_seq) return; // presence, hello
    if (e.session_seq !== r.last + 1) r.problems.push(`${e.type} ${e.session_seq} behind ${r.last}`);
    r.last = e.session_seq;
    const d = e.data;
    if (e.type === "token") {
      const old = r.sections.get(d.section_id) ?? "";
      if (d.offset !== new TextEncoder().encode(old).length) r.problems.push(`token at ${d.offset}`);
      r.sections.set(d.section_id, old + d.text);
      r.arrivals.push(Date.now());
    } else if (e.type === "reset") {
      if (d.section_id) r.sections.set(d.section_id, "");
      else r.sections.clear();
    } else if (e.type.startsWith("run.") && ["run.completed", "run.failed", "run.cancelled"].includes(e.type)) r.end = e.type;
  };

  const es = reader(), ws = reader();
  const source = new EventSource(await ticket(`/api/v1/sessions/${session}/events`));
  source.onopen = () => es.opened++;
  for (const t of types) source.addEventListener(t, (m) => { if (m.data) take(es, JSON.parse(m.data)); });

  const connect = (path) => {
    const s = new WebSocket(`ws://${location.host}${path}`);
    s.onopen = () => ws.opened++;
    s.onmessage = (m) => take(ws, JSON.parse(m.data));
    s.onclose = (c) => {
      if ([4401, 4403].includes(c.code)) ws.problems.push(`closed with ${c.code} ${c.reason}`);
      else if (!ws.end) setTimeout(() => connect(`/ws/${session}?after=${ws.last}`), 300); // by the cookie
    };
  };
  connect(await ticket(`/ws/${session}`));

  const until = async (done) => { while (!done()) await new Promise((r) => setTimeout(r, 20)); };
  await until(() => es.opened && ws.opened);
  await say("following");
  await until(() => es.end && ws.end);
  source.close();
  const tell = (r) => ({ text: [...r.sections.values()].join(""), opened: r.opened, problems: r.problems, end: r.end, state: source.readyState, tokens: r.arrivals.length,
    distinct: new Set(r.arrivals.map((a) => Math.floor(a / 20))).size });
  return { es: tell(es), ws: tell(ws), cookie: document.cookie };
}, { token, session });
console.log(JSON.stringify(result));
await browser.close();
