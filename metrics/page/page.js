"use strict";
/* The page works without this. It brings parts up to date as the server has them, and gives the operator names. */

const EVERY_MS = 5000;

const byId = (id) => document.getElementById(id);
const FOCUSABLE = "a, button, input, summary, [tabindex]";

/* ---- live: ask again with the ETag, take over the parts that changed ---- */

const parts = (root) => [...root.querySelectorAll("[data-live]")];

// As the server sent them: what somebody opened since is no change.
const sent = new Map(parts(document).map((part) => [part.id, part.outerHTML]));
let etag = null;
let timer = null;

function isBeingRead(part) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

/** Put the fresh part in the old one's place, and the reader back to where they were in it. */
function take(old, fresh) {
  const focused = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  const scrolled = [...old.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
  for (const { id } of old.querySelectorAll("details[open]")) fresh.querySelector(`#${id}`)?.setAttribute("open", "");
  old.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((box, n) => { [box.scrollLeft, box.scrollTop] = scrolled[n] ?? [0, 0]; });
  if (focused >= 0) fresh.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
}

/** Take over what changed; whether that was everything. */
function update(html) {
  let isWhole = true;
  for (const fresh of parts(new DOMParser().parseFromString(html, "text/html"))) {
    const old = byId(fresh.id);
    const text = fresh.outerHTML;
    if (!old || text === sent.get(fresh.id)) continue;
    if (isBeingRead(old)) { isWhole = false; continue; }
    sent.set(fresh.id, text);
    take(old, document.adoptNode(fresh));
  }
  return isWhole;
}

function connection(state, said) {
  const shown = byId("connection");
  shown.className = state;
  if (shown.textContent !== said) shown.textContent = said;
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(location.pathname + location.search, { headers, cache: "no-store" });
    if (answer.status === 200) {
      const fresh = answer.headers.get("ETag");
      if (update(await answer.text())) etag = fresh;
      await operator?.keepUp();
    } else if (answer.status !== 304) throw new Error(answer.statusText);
    connection("live", "live");
  } catch {
    connection("lost", "not connected, trying again");
  }
  timer = setTimeout(poll, EVERY_MS);
}

/* ---- the operator: names and decisions; the token stays in this tab ---- */

function operatorOf(panel) {
  const KEY = "homecoming-token";
  const OPEN = "/api/flags?state=raised&state=suspect";
  const SHOWN = 50;
  const GRAVITY = ["critical", "warning", "info"];
  const rules = JSON.parse(panel.dataset.rules);
  const list = byId("named");
  const shown = new Map();
  const say = (text) => { byId("said").textContent = text; };

  async function ask(path, options = {}) {
    const token = sessionStorage.getItem(KEY);
    const headers = { Authorization: `Bearer ${token}`, ...options.headers };
    const answer = await fetch(path, { ...options, headers, cache: "no-store" });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    if (answer.status === 401) forget();
    throw new Error(said.error ?? answer.statusText);
  }

  function forget() {
    sessionStorage.removeItem(KEY);
    list.replaceChildren();
    shown.clear();
    signedIn(false);
  }

  function signedIn(is) {
    byId("sign-in").hidden = is;
    byId("sign-out").hidden = !is;
  }

  const nameOf = (flag) => flag.user ?? "a wave of sign-ups";

  // Texts only, never HTML: names and topics come from anybody.
  function fill(item, flag) {
    const slot = (name) => item.querySelector(`[data-slot=${name}]`);
    slot("user").textContent = nameOf(flag);
    slot("severity").textContent = slot("severity").className = flag.severity;
    slot("rule").textContent = rules[flag.rule] ?? flag.rule;
    slot("state").textContent = flag.state;
    slot("raised_at").textContent = `${flag.raised_at.slice(0, 16).replace("T", " ")} UTC`;
    slot("raised_at").dateTime = flag.raised_at;
    slot("reason").textContent = flag.reason;
    slot("posts").textContent = `Evidence: ${flag.evidence.length === 1 ? "1 message" : `${flag.evidence.length} messages`}`;
    slot("evidence").replaceChildren(...flag.evidence.map((id) => {
      const line = document.createElement("li");
      line.textContent = id;
      return line;
    }));
    item.dataset.state = flag.state;
  }

  function itemOf(flag) {
    const item = byId("flag").content.firstElementChild.cloneNode(true);
    const form = item.querySelector("form");
    // Whoever hears a field or a button also hears on whom it decides; a named form would be one more landmark.
    item.querySelector("h3").id = `flag-${flag.id}`;
    for (const part of form.querySelectorAll("input, button")) part.setAttribute("aria-describedby", `flag-${flag.id}`);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      decide(flag, item, event.submitter.value, form.querySelector("input").value);
    });
    fill(item, flag);
    return item;
  }

  async function decide(flag, item, decision, reason) {
    try {
      const options = {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ decision, reason }),
      };
      fill(item, await ask(`/api/flags/${encodeURIComponent(flag.id)}`, options));
      item.querySelector("input").value = "";
      say(`${nameOf(flag)}: ${decision}.`);
      poll();
    } catch (error) {
      say(error.message);
    }
  }

  /** Show what is open; what was decided here stays for a second thought, what is being typed stays untouched. */
  async function refresh() {
    if (!sessionStorage.getItem(KEY)) return;
    const open = (await ask(OPEN)).filter((flag) => flag.rule !== "wave-member");
    open.sort((a, b) => GRAVITY.indexOf(a.severity) - GRAVITY.indexOf(b.severity));
    const wanted = new Map(open.slice(0, SHOWN).map((flag) => [flag.id, flag]));
    for (const [id, item] of shown) {
      const isTyped = item.querySelector("input").value || item.contains(document.activeElement);
      const isDecided = ["confirmed", "cleared"].includes(item.dataset.state);
      if (wanted.has(id)) fill(item, wanted.get(id));
      else if (!isTyped && !isDecided) { item.remove(); shown.delete(id); }
    }
    let last = null;
    for (const flag of wanted.values()) {
      if (!shown.has(flag.id)) {
        shown.set(flag.id, itemOf(flag));
        if (last) last.after(shown.get(flag.id)); else list.prepend(shown.get(flag.id));
      }
      last = shown.get(flag.id);
    }
    signedIn(true);
    return open.length;
  }

  /** Never fails: what is wrong is said where the operator looks. */
  async function keepUp() {
    try {
      return await refresh();
    } catch (error) {
      say(error.message);
    }
  }

  async function begin() {
    const count = await keepUp();
    const more = count > SHOWN ? ` The gravest ${SHOWN} are shown; homecoming flags lists all.` : "";
    if (count !== undefined) say(count ? `${count} to decide on.${more}` : "Nothing to decide on.");
  }

  byId("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, byId("token").value);
    byId("token").value = "";
    begin();
  });
  byId("sign-out").addEventListener("click", () => {
    forget();
    say("The token is forgotten.");
    byId("token").focus();
  });
  byId("unscripted").hidden = true;
  panel.hidden = false;
  begin();
  return { keepUp };
}

const operator = byId("operator") && operatorOf(byId("operator"));
document.addEventListener("visibilitychange", () => poll());
timer = setTimeout(poll, EVERY_MS);
connection("live", "live");
