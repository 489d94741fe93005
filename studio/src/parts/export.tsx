/** What a run found in the form that another tool takes, with the score of the form's own bytes. */
import { useState } from 'react';
import type { ExportAnswer, ExportTarget, RunDetail } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { bytes, share } from '../format.ts';
import { Failure } from './bits.tsx';
import { Dialog } from './dialog.tsx';

const targets: Readonly<Record<ExportTarget, string>> = {
  text: 'Plain text',
  json: 'JSON',
  openai: 'OpenAI request',
  'ai-sdk': 'AI SDK (TypeScript)',
  langchain: 'LangChain',
  promptfoo: 'promptfoo',
  peft: 'PEFT adapter',
  markdown: 'Prompt card (Markdown)',
  html: 'Prompt card (HTML)',
};

export function ExportDialog({ run, onClose }: { run: RunDetail; onClose: () => void }) {
  const [to, setTo] = useState<ExportTarget>('text');
  const [answer, setAnswer] = useState<ExportAnswer>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const write = () => {
    setBusy(true);
    setError(undefined);
    setAnswer(undefined);
    api
      .export({ run: run.id, to })
      .then(setAnswer, setError)
      .finally(() => setBusy(false));
  };
  return (
    <Dialog title="Export" onClose={onClose}>
      <label className="field">
        <span>As</span>
        <select value={to} onChange={(event) => setTo(event.target.value as ExportTarget)}>
          {Object.entries(targets).map(([name, title]) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
        <small>It is scored again from its own bytes, which takes as long as a validation.</small>
      </label>
      <Failure error={error} />
      {answer && <Written answer={answer} />}
      <div className="row">
        <button type="button" onClick={onClose}>
          Close
        </button>
        <button type="button" className="primary" disabled={busy} onClick={write}>
          {busy ? 'Writing and scoring …' : 'Export'}
        </button>
      </div>
    </Dialog>
  );
}

function Written({ answer }: { answer: ExportAnswer }) {
  const isSame = Math.abs(answer.score - answer.rescored) < 1e-9;
  return (
    <div role="status">
      <p className={isSame ? 'note note-good' : 'note note-bad'}>
        The run said <b>{share(answer.score)}</b>; the export scores <b>{share(answer.rescored)}</b>
        {isSame ? ': the same.' : '.'}
      </p>
      <ul>
        {answer.files.map((file) => (
          <li key={file.name}>
            <code>{file.name}</code> <span className="muted">{bytes(file.bytes)}</span>{' '}
            {file.text !== undefined && (
              <button type="button" onClick={() => download(file.name, file.text!)}>
                Save<span className="hidden"> {file.name}</span>
              </button>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }));
  link.download = name.split(/[\\/]/).at(-1)!;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
