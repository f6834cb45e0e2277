// Written by `node scripts/generate.ts` from services/*/service.yaml; change it there.
import type { DeclaredService } from '../service-declaration.ts';

export const DECLARED_SERVICES = {
  "gc": {
    "runs": "replicated",
    "needs": [
      "kube",
      "lease"
    ],
    "cache": "writer",
    "nats": {
      "publishes": [
        "kuik.image.served"
      ],
      "subscribes": [],
      "consumes": [],
      "requests": [
        "kuik.holders.confirm"
      ],
      "responds": [],
      "owns": [],
      "writes": [
        "kuik_image_state"
      ],
      "reads": [
        "kuik_image_state"
      ]
    },
    "queues": {
      "produces": [],
      "works": []
    }
  },
  "image-copier": {
    "runs": "replicated",
    "needs": [
      "kube",
      "redis",
      "broker",
      "registries"
    ],
    "cache": "writer",
    "nats": {
      "publishes": [
        "kuik.transfer.owners"
      ],
      "subscribes": [],
      "consumes": [],
      "requests": [
        "kuik.credentials.request"
      ],
      "responds": [
        "kuik.manifests.read"
      ],
      "owns": [],
      "writes": [
        "kuik_image_state"
      ],
      "reads": [
        "kuik_image_state"
      ]
    },
    "queues": {
      "produces": [],
      "works": [
        "copy"
      ]
    }
  },
  "monitor": {
    "runs": "replicated",
    "needs": [
      "kube",
      "lease",
      "redis",
      "broker",
      "registries"
    ],
    "nats": {
      "publishes": [],
      "subscribes": [
        "kuik.upstream.told"
      ],
      "consumes": [],
      "requests": [
        "kuik.credentials.request"
      ],
      "responds": [],
      "owns": [
        "kuik_host_state"
      ],
      "writes": [
        "kuik_host_state"
      ],
      "reads": [
        "kuik_host_state"
      ]
    },
    "queues": {
      "produces": [],
      "works": []
    }
  },
  "node-proxy": {
    "runs": "on-each-node",
    "needs": [
      "broker",
      "registries"
    ],
    "cache": "reader",
    "grants": "checker",
    "nats": {
      "publishes": [
        "kuik.image.served",
        "kuik.tag.moved",
        "kuik.upstream.told"
      ],
      "subscribes": [
        "kuik.transfer.owners"
      ],
      "consumes": [],
      "requests": [
        "kuik.credentials.request",
        "kuik.access.verdict",
        "kuik.manifests.read"
      ],
      "responds": [],
      "owns": [],
      "writes": [],
      "reads": [
        "kuik_image_state",
        "kuik_host_state",
        "kuik_access"
      ]
    },
    "queues": {
      "produces": [],
      "works": []
    }
  },
  "pod-watcher": {
    "runs": "replicated",
    "needs": [
      "kube",
      "lease",
      "redis",
      "registries",
      "proxyPrefixes",
      "rules"
    ],
    "grants": "signer",
    "nats": {
      "publishes": [],
      "subscribes": [
        "kuik.image.used",
        "kuik.tag.moved"
      ],
      "consumes": [
        "kuik.image.served"
      ],
      "requests": [],
      "responds": [
        "kuik.holders.confirm",
        "kuik.credentials.request",
        "kuik.access.verdict"
      ],
      "owns": [
        "kuik_image_state",
        "kuik_access"
      ],
      "writes": [
        "kuik_image_state",
        "kuik_access"
      ],
      "reads": [
        "kuik_image_state",
        "kuik_access"
      ]
    },
    "queues": {
      "produces": [
        "copy"
      ],
      "works": []
    }
  },
  "webhook": {
    "runs": "replicated",
    "needs": [
      "kube",
      "proxyPrefixes",
      "rules"
    ],
    "nats": {
      "publishes": [
        "kuik.image.used"
      ],
      "subscribes": [],
      "consumes": [],
      "requests": [],
      "responds": [],
      "owns": [],
      "writes": [],
      "reads": []
    },
    "queues": {
      "produces": [],
      "works": []
    }
  }
} as const satisfies Readonly<Record<string, DeclaredService>>;
