/** Named upstreams in front of one real registry, each of which can be scripted to fail, and everything asked of them counted. */
export {
  startFaultProxy,
  type FaultEndpoint,
  type FaultHostOptions,
  type FaultProxy,
  type FaultProxyOptions,
} from './fault-proxy.ts';
export { startFakeEcr, type FakeEcr, type FakeEcrOptions } from './fake-ecr.ts';
export { makeCertificates, type CertificateMaker } from './certificates.ts';
export type { AuthPolicy, HostUser } from './access.ts';
export type { FaultPicker, RateLimitDetails, RuleHandle } from './fault-picker.ts';
export type { HostFaults } from './host-faults.ts';
export type { Certificate, CertificateSource } from './listener.ts';
export type { Count, RequestFilter, RequestLog, RequestRecord } from './request-log.ts';
export {
  type Fault,
  type KindPattern,
  type Match,
  type RequestKind,
  type Rule,
  type RuleInput,
  type RuleState,
} from './rule.ts';
