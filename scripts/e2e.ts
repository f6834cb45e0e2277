// `node scripts/bootstrap.mjs e2e`: the story that can be told on any cluster, on the one that KUBECONFIG names.
await import('../e2e/src/cluster/run.ts');
