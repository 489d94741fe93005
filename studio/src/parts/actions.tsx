/** What can be done with a run: pause, stop, resume, branch, export, delete. */
import { type FormEvent, useState } from 'react';
import type { RunDetail } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { go, hrefOf } from '../router.ts';
import { announce } from './announce.tsx';
import { Failure } from './bits.tsx';
import { Dialog } from './dialog.tsx';
import { ExportDialog } from './export.tsx';

type Open = 'branch' | 'export' | 'delete';

export function Actions({ run, onChange }: { run: RunDetail; onChange: () => void }) {
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const [open, setOpen] = useState<Open>();
  const act = async (done: string, work: () => Promise<unknown>) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      announce(done);
      onChange();
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  };
  const isRunning = run.state === 'running';
  return (
    <div className="actions">
      <fieldset className="row" aria-label="Actions">
        {isRunning && (
          <>
            <button
              type="button"
              disabled={busy}
              onClick={() => act('Pausing after this step', () => api.pause(run.id))}
            >
              Pause
            </button>
            <button
              type="button"
              disabled={busy}
              title="End the search now and measure what was found"
              onClick={() => act('Stopping: what was found is measured', () => api.stop(run.id))}
            >
              Stop
            </button>
          </>
        )}
        {!isRunning && run.canResume && (
          <button
            type="button"
            className="primary"
            disabled={busy}
            onClick={() => act('Going on', () => api.resume(run.id))}
          >
            Resume
          </button>
        )}
        <button type="button" onClick={() => setOpen('branch')}>
          Branch …
        </button>
        {run.bestPrompt !== undefined && (
          <a className="button" href={hrefOf(['playground'], { run: run.id })}>
            Try it
          </a>
        )}
        {run.state === 'done' && (
          <button type="button" onClick={() => setOpen('export')}>
            Export …
          </button>
        )}
        {!isRunning && (
          <button type="button" className="danger" onClick={() => setOpen('delete')}>
            Delete …
          </button>
        )}
      </fieldset>
      <Failure error={error} />
      {open === 'branch' && <BranchDialog run={run} onClose={() => setOpen(undefined)} />}
      {open === 'export' && <ExportDialog run={run} onClose={() => setOpen(undefined)} />}
      {open === 'delete' && <DeleteDialog run={run} onClose={() => setOpen(undefined)} />}
    </div>
  );
}

function DeleteDialog({ run, onClose }: { run: RunDetail; onClose: () => void }) {
  const [error, setError] = useState<Error>();
  const remove = () =>
    api.remove(run.id).then(() => {
      announce('The run was deleted');
      onClose();
      go(['runs']);
    }, setError);
  return (
    <Dialog title="Delete this run?" onClose={onClose}>
      <p>Its record, its prompts and its files go for good. Runs that branched off it stay.</p>
      <p className="muted">{run.id}</p>
      <Failure error={error} />
      <div className="row">
        <button type="button" onClick={onClose}>
          Keep it
        </button>
        <button type="button" className="danger" onClick={remove}>
          Delete for good
        </button>
      </div>
    </Dialog>
  );
}

function BranchDialog({ run, onClose }: { run: RunDetail; onClose: () => void }) {
  const [error, setError] = useState<Error>();
  const [settings, setSettings] = useState('');
  const [step, setStep] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const set = settings
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    api.branch(run.id, { set, ...(step === '' ? {} : { step: Number(step) }) }).then(({ id }) => {
      announce('The branch was started');
      onClose();
      go(['runs', id]);
    }, setError);
  };
  return (
    <Dialog title="Branch off" onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          Another run goes on from a step of this one, with other settings. This one stays as it is.
        </p>
        <label className="field">
          <span>Settings to change, one a line</span>
          <textarea
            rows={4}
            value={settings}
            onChange={(event) => setSettings(event.target.value)}
            placeholder="budget.minutes=20"
            spellCheck={false}
          />
          <small>A path and a value, as in method.learningRate=1e-4</small>
        </label>
        <label className="field">
          <span>From step</span>
          <input
            type="number"
            min={0}
            max={run.step}
            value={step}
            onChange={(event) => setStep(event.target.value)}
          />
          <small>Left empty: the last step that was kept</small>
        </label>
        <Failure error={error} />
        <div className="row">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="primary">
            Start the branch
          </button>
        </div>
      </form>
    </Dialog>
  );
}
