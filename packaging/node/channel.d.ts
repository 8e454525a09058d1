/// <reference types="node" />
import { EventEmitter } from 'events';

/** Who has sent a message: an instance ("api.0"), or undefined for clusterctl. */
interface Origin {
  from: string | undefined;
}
interface TopicOrigin extends Origin {
  topic: string;
}

/**
 * Messages to and from the other workers of clusterd. It needs no native part: it speaks over `process.send`. Order is kept per
 * pair of sender and receiver, and a message is delivered once or not at all. Data is anything that JSON can hold.
 *
 * Listening to anything here keeps the process alive, as `process.on('message')` does.
 *
 * Every method that says something throws NoChannelError in a process that clusterd has not given a channel, and
 * ChannelClosedError when it has been closed; TypeError for an argument that makes no sense.
 */
interface Channel extends EventEmitter {
  /** Whether there is a channel to clusterd, and it is open. */
  readonly connected: boolean;
  /** To all that the selector names: `api.2`, `api`, `@site`, `all`, globs. Its own instance only by its own name. */
  send(to: string, data: unknown, options?: SendOptions): void;
  /** To all subscribers of the topic, once each. */
  publish(topic: string, data: unknown, options?: SendOptions): void;
  /**
   * To one that the selector names; several take turns. Rejects with RequestTimeoutError, or RequestError with what went
   * wrong: `nobody there`, `it has left`, `its queue is full`, `too many requests`, or the message of what the other threw.
   */
  request(to: string, data: unknown, options?: RequestOptions): Promise<any>;
  /** `*`, `?` and `[…]` in the topic make a pattern. Resolves when it is in force; rejects with RequestError beyond 64. */
  subscribe(topic: string, handler: (data: any, origin: TopicOrigin) => void): Promise<void>;
  /** Without a handler: all of that topic. Resolves with whether there was one. */
  unsubscribe(topic: string, handler?: (data: any, origin: TopicOrigin) => void): Promise<boolean>;
  /** Answers all requests to this process with what the function returns or resolves with; what it throws is the error. */
  answer(handler: ((data: any, origin: Origin) => unknown) | undefined): void;
  /** This worker is ready (`ready = "channel"`). */
  ready(): void;
  /** A line for `clusterctl status`. */
  status(text: string): void;
  /** This worker is alive; `clusterctl describe` says when it last was. */
  heartbeat(): void;

  /** A message that was sent to this process. */
  on(event: 'message', listener: (data: any, origin: Origin) => void): this;
  /** So many messages were thrown away because this process did not read them in time. */
  on(event: 'dropped', listener: (count: number) => void): this;
  /** It will be stopped; only after subscribing to `cluster.stopping`. */
  on(event: 'stopping', listener: (graceMs: number) => void): this;
  on(event: 'closed', listener: () => void): this;

  ChannelError: typeof ChannelError;
  NoChannelError: typeof NoChannelError;
  ChannelClosedError: typeof ChannelClosedError;
  RequestError: typeof RequestError;
  RequestTimeoutError: typeof RequestTimeoutError;
}

interface SendOptions {
  /** Deliver the data as it is, without the envelope: what `process.on('message')` of the others gets. */
  raw?: boolean;
}
interface RequestOptions {
  /** In milliseconds; else `[channel] request_timeout`. */
  timeout?: number;
}

declare class ChannelError extends Error {
  /** Stable, `ERR_CLUSTERD_…`. */
  readonly code: string;
}
/** This process was not started by clusterd with a channel in node mode. */
declare class NoChannelError extends ChannelError {}
/** clusterd has closed the channel, or `process.disconnect()` was called. */
declare class ChannelClosedError extends ChannelError {}
/** The message says why there is no reply. */
declare class RequestError extends ChannelError {}
declare class RequestTimeoutError extends RequestError {}

declare namespace channel {
  export type { Channel, Origin, TopicOrigin, SendOptions, RequestOptions };
  export type { ChannelError, NoChannelError, ChannelClosedError, RequestError, RequestTimeoutError };
}
declare const channel: Channel;
export = channel;
