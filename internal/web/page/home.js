// The plain page: sign in, add documents, watch a post being written, take it away.
// Tokens live in memory only: a reload signs out, and nothing is left in the browser.

const $ = (id) => document.getElementById(id);
const api = '/api/v1';
let tokens = null; // {access_token, refresh_token}
let refreshing = null; // the refresh under way, shared by all who need it
let setupToken = '';
let polling = 0;
const chosen = new Set(); // ids of documents

// ---- asking the server

class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || `The server answered with ${status}.`);
    this.status = status;
    this.code = body?.code;
  }
}

async function ask(method, path, { body, headers = {}, signal, anonymous = false, again = true } = {}) {
  const used = tokens;
  const h = new Headers(headers);
  if (used && !anonymous) h.set('Authorization', `Bearer ${used.access_token}`);
  if (body !== undefined && !(body instanceof FormData)) {
    h.set('Content-Type', 'application/json');
    body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, { method, headers: h, body, signal, credentials: 'omit' });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Problem(0, { detail: 'The server can’t be reached. Is byline serve still running?', code: 'unreachable' });
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && used && again && !anonymous) {
    if (tokens === used) await refresh();
    return ask(method, path, { body, headers: h, signal, again: false });
  }
  throw new Problem(answer.status, await answer.json().catch(() => null));
}

async function json(method, path, options) {
  const answer = await ask(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

function refresh() {
  refreshing ??= json('POST', `${api}/auth/refresh`, { body: { refresh_token: tokens.refresh_token }, anonymous: true })
    .then((fresh) => { tokens = fresh; })
    .catch((e) => {
      if (e.status) signOut();
      throw new Problem(401, { detail: e.status ? 'You have been signed out. Sign in again.' : e.message });
    })
    .finally(() => { refreshing = null; });
  return refreshing;
}

// ---- small parts of pages

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== ''));
  return node;
}

function alarm(e) {
  if (e?.name === 'AbortError') return;
  $('alert').textContent = e ? e.message : '';
  $('alert').hidden = !e;
  if (e) $('alert').scrollIntoView({ block: 'nearest' });
}

// guarded runs an action of a person: its error is shown, its button can't be pressed twice.
const guarded = (action) => async (event) => {
  event?.preventDefault?.();
  const button = event?.submitter ?? event?.currentTarget;
  if (button instanceof HTMLButtonElement) button.disabled = true;
  alarm(null);
  try {
    await action(event);
  } catch (e) {
    alarm(e);
  } finally {
    if (button instanceof HTMLButtonElement) button.disabled = button.id === 'write' && chosen.size === 0;
  }
};

const size = (n) => n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(0)} kB` : `${(n / 1e6).toFixed(1)} MB`;
const when = (t) => new Date(t).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const count = (n, one) => `${n} ${one}${n === 1 ? '' : 's'}`;

// ---- the gate

function gate(opening) {
  $('gate').hidden = false;
  $('library').hidden = true;
  $('gate-form').dataset.opening = opening ? 'yes' : '';
  $('gate-title').textContent = opening ? 'Open an account' : 'Sign in';
  $('gate-text').textContent = opening && setupToken
    ? 'This is the first account. It becomes the administrator, and takes over what the command line has made so far.' : '';
  $('gate-button').textContent = opening ? 'Open the account' : 'Sign in';
  $('gate-switch').textContent = opening ? 'I have an account' : 'Open an account';
  $('name-field').hidden = !opening;
  $('password-hint').textContent = opening ? 'at least 8 characters' : '';
  $('gate-form').password.autocomplete = opening ? 'new-password' : 'current-password';
}

async function enter(event) {
  const form = event.target;
  const email = form.email.value.trim();
  const password = form.password.value;
  if (form.dataset.opening) {
    const name = form.full_name.value.trim();
    await json('POST', `${api}/auth/register`, {
      anonymous: true,
      headers: setupToken ? { 'X-Setup-Token': setupToken } : {},
      body: { email, password, ...(name && { full_name: name }) },
    });
    setupToken = '';
    gate(false); // the account is there, whatever happens to the login
  }
  tokens = await json('POST', `${api}/auth/login`, { anonymous: true, body: { email, password } });
  form.reset();
  $('who').textContent = email;
  $('sign-out').hidden = false;
  $('gate').hidden = true;
  $('library').hidden = false;
  $('main').focus();
  await look();
}

function signOut() {
  tokens = null;
  clearTimeout(polling);
  watching?.abort();
  chosen.clear();
  for (const id of ['documents', 'drafts', 'runs', 'uploads', 'text']) $(id).replaceChildren();
  $('who').textContent = '';
  $('sign-out').hidden = $('writer').hidden = true;
  gate(false);
}

// ---- the library

// look reads all lists, and again while something is on its way.
async function look() {
  clearTimeout(polling);
  const user = tokens;
  const [documents, drafts, runs] = await Promise.all([
    json('GET', `${api}/documents?limit=200`), json('GET', `${api}/blog?limit=100`), json('GET', `${api}/runs?limit=30`),
  ]);
  if (!tokens || !user) return;
  show('documents', documents.total, documents.documents, documentRow, 'No documents yet.');
  show('drafts', drafts.total, drafts.drafts, draftRow, 'No drafts yet.');
  show('runs', runs.total, runs.runs, runRow, 'Nothing has run yet.');
  const there = new Set(documents.documents.map((d) => d.id));
  for (const id of chosen) if (!there.has(id)) chosen.delete(id);
  countChosen();
  const busy = runs.runs.some((r) => r.status === 'queued' || r.status === 'running');
  clearTimeout(polling);
  polling = setTimeout(() => look().catch(alarm), busy ? 1000 : 15000);
}

// show fills a list; rows that have not changed stay, so that focus and screen readers are not disturbed.
function show(id, total, items, row, empty) {
  const list = $(id);
  $(`${id}-count`).textContent = total > items.length ? `${items.length} of ${total}` : total || '';
  const old = new Map([...list.children].map((li) => [li.dataset.key, li]));
  const rows = items.map((item) => {
    const key = JSON.stringify(item);
    if (old.has(key)) return old.get(key);
    const li = row(item);
    li.dataset.key = key;
    return li;
  });
  const now = rows.length ? rows : [el('li', { className: 'empty' }, empty)];
  if (now.length !== list.children.length || now.some((li, i) => li !== list.children[i])) list.replaceChildren(...now);
}

function documentRow(d) {
  const ready = d.status === 'completed';
  if (!ready) chosen.delete(d.id);
  const box = el('input', { type: 'checkbox', checked: chosen.has(d.id), disabled: !ready, onchange: () => {
    if (box.checked) chosen.add(d.id); else chosen.delete(d.id);
    countChosen();
  } });
  const facts = ready ? [count(d.chunk_count ?? 0, 'passage'), d.page_count && count(d.page_count, 'page'), size(d.size)].filter(Boolean).join(' · ')
    : d.status === 'processing' ? (d.stage || 'processing') : d.status;
  return el('li', {},
    el('label', { className: 'grow' }, box, el('span', {}, d.title || d.filename, d.title ? el('span', { className: 'hint' }, ` ${d.filename}`) : null)),
    d.status === 'processing' ? progress(d.progress, `Processing ${d.filename}`) : null,
    el('span', { className: 'hint' }, facts),
    d.status === 'failed' || d.status === 'pending' ? el('button', { className: 'quiet', onclick: guarded(async () => {
      await json('POST', `${api}/documents/${d.id}/process`);
      await look();
    }) }, d.status === 'failed' ? 'Try again' : 'Process') : null,
    d.error_message ? el('p', { className: 'bad' }, d.error_message) : null);
}

function progress(p, label) {
  const bar = el('progress', { 'aria-label': label });
  if (p?.of) { bar.max = p.of; bar.value = p.done; }
  return bar;
}

function countChosen() {
  const n = chosen.size;
  $('write').disabled = n === 0 || watching !== null;
  $('chosen').textContent = n ? `${count(n, 'document')} chosen.` : 'Choose the documents to write from.';
}

function draftRow(d) {
  return el('li', {},
    el('span', { className: 'grow' }, d.title || 'Untitled'),
    el('span', { className: 'hint' }, `${d.status} · version ${d.version} · ${when(d.updated_at)}`),
    el('span', { className: 'actions' },
      d.status === 'generating' && d.run_id
        ? el('button', { className: 'quiet', 'aria-label': `Watch ${d.title}`, onclick: guarded(() => watch(d.run_id, d.id, d.title)) }, 'Watch')
        : el('button', { className: 'quiet', 'aria-label': `Read ${d.title}`, onclick: guarded(() => read(d.id)) }, 'Read'),
      el('button', { className: 'quiet', 'aria-label': `Export ${d.title}`, onclick: guarded(() => download(d.id)) }, 'Export')));
}

function runRow(r) {
  return el('li', {},
    el('span', { className: 'grow' }, `${r.kind} ${r.subject?.type ?? ''}`),
    el('span', { className: 'hint' }, `${r.status} · ${count(r.last_seq, 'event')} · ${when(r.created_at)}`),
    r.error ? el('p', { className: 'bad' }, r.error.detail) : null);
}

async function upload(files) {
  for (const file of files) {
    const line = el('li', {}, `${file.name}: uploading …`);
    $('uploads').append(line);
    try {
      const body = new FormData();
      body.append('file', file);
      const answer = await ask('POST', `${api}/documents/upload?process=true`, { body });
      line.textContent = answer.status === 200 ? `${file.name}: these bytes are here already.` : `${file.name}: uploaded.`;
      if (answer.status === 201) setTimeout(() => line.remove(), 4000);
    } catch (e) {
      line.textContent = `${file.name}: ${e.message}`;
      line.className = 'bad';
    }
    await look();
  }
}

async function download(id) {
  const answer = await ask('POST', `${api}/blog/${id}/export`, { body: { format: 'markdown' } });
  const disposition = answer.headers.get('Content-Disposition') ?? '';
  const encoded = /filename\*=utf-8''([^;]+)/i.exec(disposition);
  const plain = /filename="?([^";]+)"?/i.exec(disposition);
  const url = URL.createObjectURL(await answer.blob());
  const link = el('a', { href: url, download: encoded ? decodeURIComponent(encoded[1]) : plain ? plain[1] : 'post.md' });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

async function read(id) {
  const draft = await json('GET', `${api}/blog/${id}`);
  watching?.abort();
  openWriter(draft.title || 'Untitled');
  $('writer-state').textContent = `${draft.status}, version ${draft.version}`;
  $('text').replaceChildren(...markdown(draft.content ?? ''));
}

// ---- the post as it is written

let watching = null; // AbortController of the stream on screen

function openWriter(title) {
  $('writer').hidden = false;
  $('writer-title').textContent = title;
  $('text').replaceChildren();
  $('text').classList.remove('live');
  $('cancel').hidden = $('writer-progress').hidden = true;
  $('writer-title').focus();
  $('writer').scrollIntoView({ block: 'start' });
}

async function write() {
  const title = $('title').value.trim();
  const { draft, run } = await json('POST', `${api}/blog/generate`, {
    headers: { 'Idempotency-Key': crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` },
    body: { document_ids: [...chosen], ...(title && { title }) },
  });
  $('title').value = '';
  look().catch(alarm);
  await watch(run.id, draft.id, title);
}

// watch follows a run to its end. The log is the truth: after a break the stream goes on behind the last event seen.
async function watch(runID, draftID, title) {
  watching?.abort();
  const mine = watching = new AbortController();
  openWriter(title || 'Writing …');
  $('cancel').hidden = $('writer-progress').hidden = false;
  $('writer-progress').removeAttribute('value');
  $('cancel').onclick = guarded(() => json('POST', `${api}/runs/${runID}/cancel`));
  const post = new Post($('text'));
  countChosen();
  let end = null;
  try {
    for (let seen = 0, wait = 500; !end && !mine.signal.aborted;) {
      try {
        for await (const event of events(`${api}/runs/${runID}/events`, seen, mine.signal)) {
          seen = event.seq;
          wait = 500;
          if (/^run\.(completed|failed|cancelled)$/.test(event.type)) end = event;
          else follow(event, post);
        }
        if (!end) end = await ended(runID);
      } catch (e) {
        if (e.name === 'AbortError' || e.status >= 400 && e.status < 500) throw e;
        $('writer-state').textContent = 'The connection broke; reading on …';
      }
      if (!end) await new Promise((next) => setTimeout(next, wait = Math.min(wait * 2, 8000)));
    }
    if (end) await finish(end, draftID);
  } catch (e) {
    if (e.name !== 'AbortError') throw e;
  } finally {
    if (watching === mine) {
      watching = null;
      $('cancel').hidden = $('writer-progress').hidden = true;
      $('text').classList.remove('live');
      countChosen();
    }
    if (tokens) look().catch(alarm);
  }
}

// ended asks whether a run whose stream has closed is over.
async function ended(runID) {
  const run = await json('GET', `${api}/runs/${runID}`);
  return ['completed', 'failed', 'cancelled'].includes(run.status) ? { type: `run.${run.status}`, data: run.error ?? {} } : null;
}

function follow({ type, data }, post) {
  const state = $('writer-state');
  switch (type) {
    case 'token': post.add(data.section_id, data.text); break;
    case 'snapshot': post.set(data.section_id, data.offset, data.text); break;
    case 'reset': post.reset(data.section_id); break;
    case 'step.started': state.textContent = `${data.step} …`; break;
    case 'step.progress':
      state.textContent = `${data.step}: ${data.done} of ${data.of}`;
      if (data.of) { $('writer-progress').max = data.of; $('writer-progress').value = data.done; }
      break;
    case 'run.restarted': state.textContent = 'The server was restarted; going on …'; break;
    case 'notice': case 'error': if (data.detail) state.textContent = data.detail; break;
  }
}

async function finish(end, draftID) {
  const draft = await json('GET', `${api}/blog/${draftID}`);
  $('writer-title').textContent = draft.title || 'Untitled';
  $('text').replaceChildren(...markdown(draft.content ?? ''));
  const cited = Number.isInteger(end.data?.cited) && Number.isInteger(end.data?.sentences) ? ` ${end.data.cited} of ${end.data.sentences} sentences are cited.` : '';
  $('writer-state').textContent = { 'run.completed': `Written.${cited}`, 'run.cancelled': 'Stopped; the text so far is kept.' }[end.type]
    ?? `It failed: ${end.data?.detail || 'see the run below'}.`;
}

// Post is the text on the screen while it grows: a part for each section, in the order in which they begin.
class Post {
  constructor(article) {
    this.article = article;
    this.sections = new Map();
    article.classList.add('live');
  }

  section(id = '') {
    let s = this.sections.get(id);
    if (!s) {
      s = { node: el('div'), text: '' };
      this.sections.set(id, s);
      this.article.append(s.node);
    }
    return s;
  }

  put(s, text) {
    s.text = text;
    s.due ??= requestAnimationFrame(() => { // many tokens come between two frames
      s.due = null;
      s.node.replaceChildren(...markdown(s.text));
    });
  }

  add(id, text) {
    const s = this.section(id);
    this.put(s, s.text + text);
  }

  // set replaces what begins at an offset in UTF-8 bytes.
  set(id, offset, text) {
    const s = this.section(id);
    const kept = new TextDecoder().decode(new TextEncoder().encode(s.text).slice(0, offset));
    this.put(s, kept + text);
  }

  reset(id) {
    if (id) return this.put(this.section(id), '');
    this.sections.clear();
    this.article.replaceChildren();
  }
}

// events reads server-sent events with a header for the token, which EventSource can't send.
async function* events(path, after, signal) {
  const answer = await ask('GET', path, { signal, headers: { Accept: 'text/event-stream', ...(after && { 'Last-Event-ID': String(after) }) } });
  if (answer.status === 204) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (let line of lines) {
      if (line.endsWith('\r')) line = line.slice(0, -1);
      if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
      else if (line === '' && data.length) {
        yield JSON.parse(data.join('\n'));
        data = [];
      }
    }
  }
}

// ---- Markdown, as much as a post needs to be read here; text never becomes HTML

function inline(text) {
  const parts = [];
  let at = 0;
  for (const m of text.matchAll(/\*\*([^*]+)\*\*|`([^`]+)`|(?<![\w*])[*_]([^*_]+)[*_](?!\w)/g)) {
    parts.push(text.slice(at, m.index), m[1] ? el('strong', {}, m[1]) : m[2] ? el('code', {}, m[2]) : el('em', {}, m[3]));
    at = m.index + m[0].length;
  }
  return [...parts, text.slice(at)];
}

function markdown(text) {
  const blocks = [];
  for (const block of text.split(/\n{2,}/)) {
    let lines = block.split('\n').filter((l) => l.trim());
    const heading = /^(#{1,6})\s+(.*)$/.exec(lines[0] ?? '');
    if (heading) {
      blocks.push(el(heading[1].length === 1 ? 'h3' : 'h4', {}, ...inline(heading[2])));
      lines = lines.slice(1);
    }
    if (!lines.length) continue;
    if (lines.every((l) => /^\s*([-*]|\d+\.)\s/.test(l) || /^\s{2,}/.test(l))) {
      const items = [];
      for (const l of lines) {
        if (/^\s*([-*]|\d+\.)\s/.test(l)) items.push(l.replace(/^\s*([-*]|\d+\.)\s+/, ''));
        else items.push(`${items.pop() ?? ''} ${l.trim()}`);
      }
      blocks.push(el('ul', {}, ...items.map((i) => el('li', {}, ...inline(i)))));
    } else if (lines.every((l) => l.startsWith('>'))) {
      blocks.push(el('blockquote', {}, ...inline(lines.map((l) => l.replace(/^>\s?/, '')).join(' '))));
    } else if (lines[0].startsWith('|') || lines[0].startsWith('```')) {
      blocks.push(el('pre', { tabIndex: 0 }, lines.join('\n')));
    } else {
      blocks.push(el('p', {}, ...inline(lines.join(' '))));
    }
  }
  return blocks;
}

// ---- begin

$('gate-form').addEventListener('submit', guarded(enter));
$('gate-switch').addEventListener('click', () => { alarm(null); gate(!$('gate-form').dataset.opening); });
$('sign-out').addEventListener('click', guarded(async () => {
  const { refresh_token } = tokens;
  signOut();
  await json('POST', `${api}/auth/logout`, { body: { refresh_token }, anonymous: true });
}));
$('files').addEventListener('change', guarded(async () => {
  const files = [...$('files').files];
  $('files').value = '';
  await upload(files);
}));
$('writer-form').addEventListener('submit', guarded(write));
for (const type of ['dragover', 'dragleave', 'drop']) {
  $('drop').addEventListener(type, (e) => {
    e.preventDefault();
    $('drop').classList.toggle('over', type === 'dragover');
    if (type === 'drop') guarded(() => upload([...e.dataTransfer.files]))();
  });
}

// The link that byline serve prints: the token stands behind the #, so no server sees it, and leaves the address at once.
setupToken = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
if (setupToken) history.replaceState(null, '', location.pathname);
gate(Boolean(setupToken));
