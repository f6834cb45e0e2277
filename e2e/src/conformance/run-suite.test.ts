import { expect, it } from '@jest/globals';
import { failuresOf } from './run-suite.ts';

const REPORT = `Test results
OCI Conformance Test: FAIL
  OCI Conformance Test/ping: Pass
  OCI Conformance Test/sha256 blobs: FAIL
    OCI Conformance Test/sha256 blobs/get-missing: Pass
    OCI Conformance Test/sha256 blobs/range: Skip
     - range request unsupported, full blob returned
    OCI Conformance Test/sha256 blobs/cancel: Disabled
     - disabled by configuration
    OCI Conformance Test/sha256 blobs/head: FAIL
     - unexpected status code, expected one of [404], received 200

Configuration:
  a: FAIL
   - not a test
`;

it('reads the tests that failed, or that the registry is not able to pass, with what is said of them', () => {
  expect(failuresOf(REPORT)).toEqual([
    'OCI Conformance Test/sha256 blobs/range: range request unsupported, full blob returned',
    'OCI Conformance Test/sha256 blobs/head: unexpected status code, expected one of [404], received 200',
  ]);
});
