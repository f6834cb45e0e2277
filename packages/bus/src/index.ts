export type {
  Bucket,
  Bus,
  BusLog,
  BusReports,
  BusStatus,
  Delivery,
  Entry,
  Fate,
  KeyFollower,
  Stoppable,
  Verdict,
} from './port.ts';
export { BusError } from './bus-error.ts';
export type { BusErrorCode } from './bus-error.ts';
export { connectBus } from './nats/nats-bus.ts';
export { openBus, type BusHost } from './open-bus.ts';
export type { ConnectOptions } from './nats/nats-bus.ts';
export { announceState } from './announce-state.ts';
export { accountFor, createCredentialClient, CredentialError } from './credential-client.ts';
export type { CredentialClient, CredentialClientOptions } from './credential-client.ts';
