/** The studio itself, the models of this machine, exports, and the document of all routes. */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { listModels } from '../../models/model-store.ts';
import { versions } from '../../runs/versions.ts';
import { about, exportAnswer, exportRequest, modelRow, pageOf } from '../answers.ts';
import type { ExportAnswer } from '../contract.ts';
import { RequestFailure } from '../failures.ts';
import { route } from '../route.ts';
import { defined } from '../run-view.ts';
import { ownRun } from './actions.ts';

const showAbout = route({
  method: 'get',
  path: '/api/about',
  summary: 'Versions, and where runs and configurations lie',
  answer: about,
  handle: (_, { store, folder }) => ({
    version: versions().whetstone!,
    node: process.versions.node,
    store: shortened(dirname(store.path)),
    folder: shortened(folder),
  }),
});

function shortened(path: string): string {
  const home = homedir();
  return path === home || path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

const showModels = route({
  method: 'get',
  path: '/api/models',
  summary: 'Known models and those in the store of models',
  answer: pageOf(modelRow),
  async handle(_, { env }) {
    const models = await listModels(env);
    return {
      items: models.map(({ name, title, licence, state, sizeBytes }) =>
        defined({ name, isHere: state !== 'absent', bytes: sizeBytes, licence, about: title }),
      ),
      total: models.length,
    };
  },
});

/** Larger files are named, not shown. */
const MAX_SHOWN = 2 ** 20;

const exportRun = route({
  method: 'post',
  path: '/api/exports',
  summary: 'What a run found in a form that other tools take, scored again from its own bytes',
  body: exportRequest,
  answer: exportAnswer,
  async handle({ body: { run, to } }, studio) {
    const { id } = ownRun(studio, run);
    const folder = await mkdtemp(join(tmpdir(), 'whetstone-export-'));
    try {
      const result = await studio.children.run(['export', id, '--to', to, '--out', folder]);
      const { score, rescored } = result as { score: number; rescored: number };
      return { files: await filesOf(folder), score, rescored };
    } catch (error) {
      if (!(error instanceof RequestFailure) || !/unknown command/.test(error.message)) throw error;
      throw new RequestFailure(501, 'not-built', 'this version of whetstone has no exports yet');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
});

async function filesOf(folder: string): Promise<ExportAnswer['files']> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
  return Promise.all(
    paths.map(async (path) => {
      const { size: bytes } = await stat(path);
      const isText = bytes <= MAX_SHOWN && !/\.(safetensors|bin|gguf|npy)$/.test(path);
      const text = isText ? await readFile(path, 'utf8') : undefined;
      return defined({ name: relative(folder, path), bytes, text });
    }),
  );
}

export const aboutRoutes = [showAbout, showModels, exportRun];
