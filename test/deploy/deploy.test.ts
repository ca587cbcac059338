import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { packageRoot } from '../../src/base/package-root.js';
import { loadConfig } from '../../src/config/load.js';
import { ServeConfig } from '../../src/config/serve.js';
import { readAction } from './action-steps.js';

const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
}
interface PodSpec {
  readonly containers: readonly (Record<string, unknown> & { readonly name: string; readonly image: string })[];
  readonly volumes: readonly Record<string, unknown>[];
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: Record<string, unknown>;
}

const manifests = (file: string): Manifest[] =>
  parseAllDocuments(read(file)).map((document) => document.toJS() as Manifest);
const podOf = (manifest: Manifest | undefined): PodSpec =>
  (manifest?.spec as { template: { spec: PodSpec } }).template.spec;

describe('deploy/serve.yaml', () => {
  it('is a configuration that writes only to /data', async () => {
    const config = await loadConfig(ServeConfig, 'deploy/serve.yaml');
    expect(config).toMatchObject({
      host: '0.0.0.0',
      health_port: 8081,
      data_dir: '/data/runs/service',
      runs_dir: '/data/runs',
    });
  });
});

describe('deploy/Dockerfile', () => {
  const lines = read('deploy/Dockerfile').replaceAll('\\\n', ' ').split('\n');
  const of = (word: string): string[] => lines.filter((line) => line.startsWith(`${word} `));

  it('has the two targets, on a base image with a version and without a registry host', () => {
    expect(of('FROM').map((line) => line.split(' AS ')[1])).toEqual(expect.arrayContaining(['cpu', 'cuda']));
    expect(of('ARG')[0]).toMatch(/^ARG NODE_IMAGE=node:\d+\.\d+\.\d+-bookworm-slim$/);
    const stages = new Set(of('FROM').map((line) => line.split(' AS ')[1]));
    for (const line of of('FROM'))
      expect(line.split(' ')[1] === '${NODE_IMAGE}' || stages.has(line.split(' ')[1])).toBe(true);
  });

  it('runs as a separate user, with a stop signal and a health check', () => {
    expect(of('USER')).toEqual(['USER 10001:10001']);
    expect(of('STOPSIGNAL')).toEqual(['STOPSIGNAL SIGTERM']);
    expect(of('HEALTHCHECK')[0]).toContain('${process.env.QALIGN_SERVE_HEALTH_PORT || 8081}/healthz');
    expect(of('EXPOSE')).toEqual(['EXPOSE 8080 8081']);
    expect(of('ENTRYPOINT')).toEqual(['ENTRYPOINT ["/usr/bin/tini", "--", "qalign"]']);
    expect(of('CMD')).toEqual(['CMD ["serve", "/etc/qalign/serve.yaml"]']);
  });

  it('leaves the steps to install.sh', () => {
    const steps = of('RUN').filter((line) => /apt-get|pip |venv/.test(line));
    expect(steps).toEqual([]);
  });
});

describe('deploy/compose.yaml', () => {
  const compose = parse(read('deploy/compose.yaml'), { merge: true }) as {
    services: Record<string, Record<string, unknown>>;
    volumes: Record<string, unknown>;
  };

  it.each(['cpu', 'gpu'])('%s has a read-only root, volumes, a health check and a key', (name) => {
    const service = compose.services[name];
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], stop_grace_period: '30s' });
    expect(JSON.stringify(service?.['healthcheck'])).toContain(':8081/healthz');
    expect((service?.['environment'] as Record<string, string>)['QALIGN_API_KEY']).toMatch(/^\$\{QALIGN_API_KEY:\?/);
    const volumes = (service?.['volumes'] as string[]).map((volume) => volume.split(':'));
    expect(volumes.map(([, place]) => place)).toEqual(['/data', '/cache']);
    for (const [volume = ''] of volumes) expect(Object.keys(compose.volumes)).toContain(volume);
  });

  it('requests a GPU only in the profile gpu, and shares no data', () => {
    const { cpu, gpu } = compose.services;
    expect(cpu).not.toHaveProperty('deploy');
    expect(gpu).toMatchObject({ profiles: ['gpu'], build: { target: 'cuda' } });
    expect(JSON.stringify(gpu?.['deploy'])).toContain('"capabilities":["gpu"]');
    expect((cpu?.['volumes'] as string[])[0]).not.toBe((gpu?.['volumes'] as string[])[0]);
  });
});

describe('deploy/kubernetes', () => {
  const all = manifests('deploy/kubernetes/cpu/qalign.yaml');
  const of = (kind: string): Manifest[] => all.filter((manifest) => manifest.kind === kind);
  const pod = podOf(of('Deployment')[0]);
  const [container] = pod.containers;

  it('has one replica that is recreated, not rolled, with time to end before it is killed', async () => {
    expect(of('Deployment')[0]?.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    const { shutdown_ms } = await loadConfig(ServeConfig, 'deploy/serve.yaml');
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(shutdown_ms / 1000 + 5);
  });

  it('meets the restricted standard of pod security', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container?.['securityContext']).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('probes /healthz for liveness and /readyz for readiness, on the port that clients cannot block', async () => {
    const { health_host, health_port, port } = await loadConfig(ServeConfig, 'deploy/serve.yaml');
    expect(health_host).toBe('0.0.0.0'); // the kubelet probes the address of the pod
    const probes = ['startupProbe', 'livenessProbe', 'readinessProbe'].map((name) => container?.[name] as Probe);
    expect(probes.map(({ httpGet }) => httpGet)).toEqual([
      { path: '/healthz', port: 'health' },
      { path: '/healthz', port: 'health' },
      { path: '/readyz', port: 'health' },
    ]);
    const [service] = of('Service');
    expect(service?.spec['ports']).toEqual([{ name: 'http', port: 80, targetPort: 'http' }]);
    expect(container?.['ports']).toEqual([
      { name: 'http', containerPort: port },
      { name: 'health', containerPort: health_port },
    ]);
  });

  it('mounts every volume, and every claim exists', () => {
    const mounts = (container?.['volumeMounts'] as { name: string; mountPath: string }[]) ?? [];
    expect(mounts.map(({ mountPath }) => mountPath)).toEqual(['/data', '/cache', '/tmp']);
    expect(pod.volumes.map((volume) => volume['name'])).toEqual(mounts.map(({ name }) => name));
    const claims = pod.volumes.flatMap(
      (volume) => (volume['persistentVolumeClaim'] as { claimName: string })?.claimName ?? [],
    );
    expect(of('PersistentVolumeClaim').map(({ metadata }) => metadata.name)).toEqual(claims);
  });

  it('has a patch for one GPU that names the same container', () => {
    const [patch] = manifests('deploy/kubernetes/gpu/gpu.yaml');
    expect(patch?.metadata.name).toBe(of('Deployment')[0]?.metadata.name);
    const [patched] = podOf(patch).containers;
    expect(patched).toMatchObject({ name: container?.name, image: 'qalign:cuda' });
    expect(patched?.['resources']).toMatchObject({ limits: { 'nvidia.com/gpu': 1 } });
  });
});

describe('deploy/qalign.service', () => {
  it('gives the service time to end, and only the privileges that it needs', () => {
    const unit = read('deploy/qalign.service');
    const { shutdown_ms } = { shutdown_ms: 15_000 };
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(shutdown_ms / 1000 + 5);
    for (const line of ['NoNewPrivileges=yes', 'ProtectSystem=strict', 'StateDirectory=qalign', 'Restart=on-failure'])
      expect(unit).toContain(`\n${line}\n`);
    expect(unit).not.toMatch(/^WatchdogSec|^MemoryDenyWriteExecute=yes/m);
  });
});

describe('action.yml', () => {
  it('inserts no input into the text of a script', async () => {
    const { inputs, outputs, runs } = await readAction();
    const scripts = runs.steps.flatMap(({ run }) => run ?? []);
    expect(scripts.length).toBeGreaterThan(2);
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([]);
    const used = JSON.stringify(runs);
    expect(Object.keys(inputs).filter((name) => !used.includes(`inputs.${name} `))).toEqual([]);
    for (const [name, { value }] of Object.entries(outputs)) expect(value).toBe(`\${{ steps.score.outputs.${name} }}`);
  });
});
