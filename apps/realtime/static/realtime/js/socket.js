// The live connection: waits for the server's greeting, subscribes, notices gaps, and comes back.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const TOO_MANY_PAUSE_MS = 30_000;
const GREETING_MS = 10_000;
const PING_MS = 20_000;
const PONG_MS = 8_000;
const TOO_MANY = 4291;

/** Close codes from 4500 on say that coming back unchanged is of no use. */
const isFinal = (code) => code >= 4500 && code <= 4999;

/** The reader's own channels, which need a token. */
const isOwn = (channel) => channel.endsWith("@me");

/**
 * Calls `onState({state, retryAt, reason})` with connecting | live | waiting | refused | out,
 * `onMessage(message)` for every message that carries data, `onGap()` when something may have been
 * missed: after a reconnect, a hole in a sequence, or a new epoch. `onBegin(channel)` follows the
 * server's word that a channel begins, or begins anew: its snapshot follows. `onError(data)` gets
 * refusals. `token()` promises an access token, or null where nobody is signed in: where the server
 * wants to know who reads, the state is then `out`; elsewhere only own channels wait for a token.
 * `onTokenRefused()` says that the token is of no more use.
 */
export class Socket {
  #socket = null;
  #wanted = new Map(); // channel → those that it is asked for with
  #sequences = new Map();
  #epoch = null;
  #attempt = 0;
  #lives = 0;
  #timers = new Map();
  #number = 0;
  #required = false;
  #shown = false; // a token was sent on this connection
  #known = false; // and taken
  #asked = new Map(); // id of a request → its channels

  constructor({ url, onState, onMessage, onGap, onBegin, onError, onTokenRefused, token }) {
    Object.assign(this, { url, onState, onMessage, onGap, onBegin, onError, onTokenRefused, token, state: "connecting" });
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => this.#wake());
  }

  /** Wants channels from now on, over every reconnect; the server is asked for them in one message. */
  subscribe(...channels) {
    const fresh = channels.filter((channel) => !this.#wanted.has(channel));
    if (!fresh.length) return;
    for (const channel of fresh) this.#wanted.set(channel, fresh);
    if (this.#hears(fresh[0])) this.#say("subscribe", fresh);
  }

  unsubscribe(...channels) {
    const held = channels.filter((channel) => this.#wanted.delete(channel));
    for (const channel of held) this.#sequences.delete(channel);
    if (held.length && this.#hears(held[0])) this.#say("unsubscribe", held);
  }

  /** Asks for what is wanted and fulfils `which`, in the messages that it was asked for with before. */
  #askFor(which) {
    const groups = new Set(this.#wanted.values());
    for (const group of groups) {
      const wanted = group.filter((channel) => this.#wanted.get(channel) === group && which(channel));
      if (wanted.length) this.#say("subscribe", wanted);
    }
  }

  // One that is refused takes those along that it was asked for with.
  #askSingly(channels) {
    const wanted = channels.filter((channel) => this.#wanted.has(channel));
    for (const channel of wanted) this.#wanted.set(channel, [channel]);
    this.#askFor((channel) => wanted.includes(channel));
  }

  /** Whether a channel may be asked for now. */
  #hears(channel) {
    return this.state === "live" && (this.#known || !isOwn(channel));
  }

  open() {
    this.#clearTimers();
    this.#sequences.clear();
    this.#asked.clear();
    this.#shown = this.#known = false;
    this.#set({ state: "connecting" });
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(data);
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#closed(code, reason);
    this.#after("greeting", GREETING_MS, () => this.#drop("The server did not greet."));
  }

  /** Begins anew, as whoever reads now. */
  reopen() {
    const former = this.#socket;
    this.open();
    former?.close();
  }

  /** Tries again at once, where a pause is being kept. */
  retry() {
    if (this.state === "waiting" || this.state === "refused") this.open();
  }

  #receive(raw) {
    let message;
    try {
      message = JSON.parse(raw);
    } catch {
      return this.#drop("The server sent something unreadable.");
    }
    const handler = HANDLERS[message.type];
    if (handler) handler(this, message);
    else if (message.channel) this.#deliver(message);
  }

  greeted({ data }) {
    this.#clear("greeting");
    this.#required = Boolean(data.required);
    if (!this.#required) this.admitted(); // what is public need not wait for who reads
    this.identify();
  }

  /** Tells the server who reads, where somebody is signed in. */
  async identify() {
    const socket = this.#socket;
    try {
      const token = await this.token();
      if (socket !== this.#socket || this.#known) return;
      if (token) this.#show(token);
      else if (this.#required) this.leave();
    } catch (error) {
      if (socket !== this.#socket) return;
      if (this.#required) this.#drop(error.message);
      else this.#after("identify", FIRST_PAUSE_MS * 10, () => this.identify());
    }
  }

  #show(token) {
    this.#shown = true;
    this.#after("greeting", GREETING_MS, () => this.#drop("The server did not answer the sign-in."));
    this.#send("authenticate", { token });
  }

  /** Prolongs the connection with a newer token. */
  prolong(token) {
    if (this.#known && this.state === "live") this.#send("refresh", { token });
  }

  /** The server knows who reads: own channels begin. */
  recognised() {
    this.#clear("greeting");
    if (this.#known) return;
    this.#known = true;
    if (this.state !== "live") return this.admitted();
    this.#askFor(isOwn);
  }

  /** Ends the connection because nobody is signed in; `open()` begins anew. */
  leave() {
    const socket = this.#socket;
    this.#socket = null;
    this.#clearTimers();
    this.#set({ state: "out", reason: "The server asks who you are." });
    socket?.close();
  }

  admitted() {
    if (this.state === "live") return;
    this.#clear("greeting");
    this.#set({ state: "live" });
    this.#after("steady", PONG_MS, () => (this.#attempt = 0));
    this.#askFor((channel) => this.#hears(channel));
    this.#ping();
    if (++this.#lives > 1 || this.#attempt > 0) this.onGap();
  }

  ponged() {
    this.#clear("pong");
    this.#after("ping", PING_MS, () => this.#ping());
  }

  /** A refusal that names a time is for later; any other is final, but of one channel only. */
  refused({ replyTo, data }) {
    const channels = this.#asked.get(replyTo);
    this.#asked.delete(replyTo);
    if (channels?.length > 1 && !data.retryAfter) return this.#askSingly(channels);
    if (!channels || !data.retryAfter) return this.onError(data);
    this.#after(`again ${channels}`, data.retryAfter * 1000, () => this.#askFor((channel) => channels.includes(channel) && this.#hears(channel)));
  }

  begun({ replyTo, data }) {
    this.#asked.delete(replyTo);
    for (const { channel } of data.channels ?? [data]) this.onBegin(channel);
  }

  /** The server could not continue a channel: what follows is a snapshot of it. */
  restarted({ channel, epoch, seq }) {
    this.#epoch = epoch ?? this.#epoch;
    this.#sequences.set(channel, seq);
    this.onBegin(channel);
    this.onGap();
  }

  #deliver(message) {
    // The channel `prices` is a view over all tickers: its messages name the ticker, its numbers count `prices`.
    const topic = message.type === "price_update" ? "prices" : message.channel;
    if (!this.#wanted.has(topic)) return;
    this.onMessage(message);
    if (this.#isGap(topic, message)) this.onGap();
  }

  #isGap(topic, { epoch, seq, kind }) {
    const anew = Boolean(epoch) && this.#epoch !== null && epoch !== this.#epoch;
    if (anew) this.#sequences.clear();
    this.#epoch = epoch ?? this.#epoch;
    if (!Number.isInteger(seq)) return anew;
    const held = this.#sequences.get(topic);
    this.#sequences.set(topic, Math.max(seq, held ?? 0));
    return anew || (kind === "update" && held !== undefined && seq > held + 1);
  }

  #ping() {
    this.#send("ping", {});
    this.#after("pong", PONG_MS, () => this.#drop("The server stopped answering."));
  }

  // A page that slept does not know whether its socket still lives.
  #wake() {
    if (document.hidden) return;
    if (this.state === "live") this.#ping();
    else this.retry();
  }

  /** Subscribes to, or leaves, channels. */
  #say(type, channels) {
    const id = this.#send(type, channels.length === 1 ? { channel: channels[0] } : { channels });
    if (id && type === "subscribe") this.#asked.set(id, channels);
  }

  #send(type, data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return null;
    const id = `${type}_${++this.#number}`;
    this.#socket.send(JSON.stringify({ id, type, timestamp: Date.now(), data }));
    return id;
  }

  #drop(reason) {
    const socket = this.#socket;
    this.#closed(0, reason);
    socket?.close();
  }

  #closed(code, reason) {
    this.#socket = null;
    this.#clearTimers();
    if (isFinal(code) && this.#shown) this.onTokenRefused();
    else if (isFinal(code) && this.#required) return this.leave();
    else if (isFinal(code)) return this.#set({ state: "refused", reason: reason || `The server refused (${code}).` });
    const pause = code === TOO_MANY ? TOO_MANY_PAUSE_MS : Math.min(FIRST_PAUSE_MS * 2 ** this.#attempt, LONGEST_PAUSE_MS);
    this.#attempt += 1;
    const wait = pause * (0.5 + Math.random() / 2); // all pages at once would be a wave
    this.#set({ state: "waiting", retryAt: Date.now() + wait, reason });
    this.#after("retry", wait, () => this.open());
  }

  #set({ state, retryAt = null, reason = "" }) {
    this.state = state;
    this.onState({ state, retryAt, reason });
  }

  #after(name, delay, action) {
    this.#clear(name);
    this.#timers.set(name, setTimeout(action, delay));
  }

  #clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #clearTimers() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}

const nothing = () => {};

const HANDLERS = {
  resync: (socket, message) => socket.restarted(message),
  auth_required: (socket, message) => socket.greeted(message),
  pong: (socket) => socket.ponged(),
  error: (socket, message) => socket.refused(message),
  auth_failed: (socket, message) => socket.onError(message.data ?? {}),
  auth_success: (socket) => socket.recognised(),
  subscribed: (socket, message) => socket.begun(message),
  unsubscribed: nothing,
};
