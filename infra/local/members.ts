/** The organisations of the story: their certificates, keys and profiles, made once and kept. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  type IssuedCertificate,
  issueApplicationCertificate,
  issueInstanceCertificate,
} from '../../cli/certificates.ts';
import type { LocalInstance } from './cluster.ts';

/** In the order of their ports. The first leads the story's registry. */
export const memberNames = ['client', 'architect', 'contractor', 'checking-engineer'] as const;
export type MemberName = (typeof memberNames)[number];

export interface Member {
  readonly name: MemberName;
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly directory: string;
  readonly instance: LocalInstance;
  /** Of the member's application at the member's own instance. */
  readonly profile: string;
  /** Of the member's application at the lead, where documents are recorded. */
  readonly leadProfile: string;
  /** Of the member's operator at the member's own instance. */
  readonly operatorProfile: string;
}

/**
 * Makes or reads the certificate authority, and for each member certificates of its instance, its
 * application and its operator, and profiles. Ports are fixed with the certificates: an endpoint is part
 * of an instance's certificate.
 */
export async function prepareMembers(directory: string, firstPort: number): Promise<Member[]> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const authority = await once(join(directory, 'ca.json'), () =>
    createCertificateAuthority({ name: 'Musterstadt Cluster CA' }),
  );
  const caFile = join(directory, 'ca-certificate.pem');
  writeFileSync(caFile, authority.certificatePem);
  const made = await Promise.all(
    memberNames.map((name, index) => prepareMember(directory, authority, name, firstPort + index)),
  );
  const applications = made.map(({ application }) => application.certificateId);
  return made.map(({ name, port, issued, application, operator }, index) => {
    const home = join(directory, name);
    const own = writeProfile(join(home, 'profile.json'), 'application', port);
    const lead = writeProfile(join(home, 'profile-at-lead.json'), 'application', firstPort);
    const operating = writeProfile(join(home, 'operator-profile.json'), 'operator', port);
    return {
      name,
      certificateId: issued.certificateId,
      certificatePem: issued.certificatePem,
      directory: home,
      profile: own,
      leadProfile: lead,
      operatorProfile: operating,
      instance: {
        name,
        port,
        keyFile: join(home, 'secret.json'),
        // The checking engineer's joins in the middle of the story.
        offline: name === 'checking-engineer',
        settings: {
          clusterCa: authority.certificatePem,
          // At the lead every member's application may record; elsewhere its own only.
          applications: index === 0 ? applications : [application.certificateId],
          operators: [operator.certificateId],
          auditors: [],
          denied: [],
          admittedLeads: 'any',
        },
      },
    };
  });
}

interface Made {
  readonly name: MemberName;
  readonly port: number;
  readonly issued: IssuedCertificate;
  readonly application: IssuedCertificate;
  readonly operator: IssuedCertificate;
}

async function prepareMember(
  directory: string,
  authority: CertificateAuthority,
  name: MemberName,
  port: number,
): Promise<Made> {
  const home = join(directory, name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const endpoint = `https://localhost:${port}`;
  const issued = await once(join(home, `instance-${port}.json`), () =>
    issueInstanceCertificate({ authority, name, endpoint }),
  );
  const application = await once(join(home, 'application.json'), () =>
    issueApplicationCertificate({ authority, name: `${name} application` }),
  );
  const operator = await once(join(home, 'operator.json'), () =>
    issueApplicationCertificate({ authority, name: `${name} operator` }),
  );
  const { certificatePem, privateKeyPem } = issued;
  writePrivate(
    join(home, 'secret.json'),
    JSON.stringify({ privateKeyPem, certificatePem, formerIds: [] }),
  );
  writeFileSync(join(home, 'certificate.pem'), certificatePem);
  for (const [who, made] of Object.entries({ application, operator })) {
    writeFileSync(join(home, `${who}-certificate.pem`), made.certificatePem);
    writePrivate(join(home, `${who}-key.pem`), made.privateKeyPem);
  }
  return { name, port, issued, application, operator };
}

/** What `make` gives, kept in the file: the next start finds the same. */
async function once<T>(file: string, make: () => Promise<T>): Promise<T> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as T;
  const made = await make();
  writePrivate(file, JSON.stringify(made));
  return made;
}

function writePrivate(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}

function writeProfile(file: string, who: 'application' | 'operator', port: number): string {
  const profile = {
    endpoint: `https://localhost:${port}`,
    certificate: `${who}-certificate.pem`,
    key: `${who}-key.pem`,
    ca: '../ca-certificate.pem',
  };
  writeFileSync(file, `${JSON.stringify(profile, null, 2)}\n`);
  return file;
}
