/** One run: the loop, its charts, what it found, and what can be done with it. */
import { useEffect, useRef } from 'react';
import type { RunDetail } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { RunCharts } from '../charts/run-charts.tsx';
import { count, duration, moment, number, share } from '../format.ts';
import { useLoaded } from '../hooks.ts';
import { type Live, useLiveRun } from '../live.ts';
import { Actions } from '../parts/actions.tsx';
import { announce } from '../parts/announce.tsx';
import { Card, Facts, Failure, Loading, ModelText, ScoreCell, StateMark } from '../parts/bits.tsx';
import { Lineage } from '../parts/lineage.tsx';
import { Log } from '../parts/log.tsx';
import { Loop } from '../parts/loop.tsx';
import { Prompts } from '../parts/prompts.tsx';
import { Results } from '../parts/results.tsx';
import { hrefOf } from '../router.ts';
import { states } from '../words.ts';

export function RunPage({ id }: { id: string }) {
  const live = useLiveRun(id);
  const { run, error, connection, reload } = live;
  const schema = useLoaded('schema', api.schema);
  useAnnouncedState(run?.detail.state);
  if (!run) {
    // No heading that another takes the place of: the focus would be lost with it.
    if (!error) return <Loading what="the run" />;
    return (
      <>
        <h1 tabIndex={-1}>Run</h1>
        <Failure error={error} retry={reload} />
      </>
    );
  }
  const { detail, track, lastSeq } = run;
  const hasPolicy = track.entropy !== undefined;
  const summary = schema.data?.methods.find(({ name }) => name === detail.method)?.summary;
  const version = `${detail.state} ${detail.rows?.length ?? 0}`;
  return (
    <>
      <div className="page-head">
        <div>
          <h1 tabIndex={-1}>
            {detail.method} <span className="term">on</span> <ModelText text={detail.task} />
          </h1>
          <p className="under-head">
            <StateMark state={detail.state} />{' '}
            {detail.state === 'running' && <Connected connection={connection} />}
            <span className="muted">
              {detail.id}
              {detail.parent !== undefined && (
                <>
                  , branched off <a href={hrefOf(['runs', detail.parent])}>{detail.parent}</a>
                </>
              )}
            </span>
          </p>
        </div>
        <Actions run={detail} onChange={reload} />
      </div>
      {detail.error !== undefined && (
        <p className="note note-bad">
          <b>It could not go on:</b> <ModelText text={detail.error} />
        </p>
      )}
      <Headline run={detail} />
      <Loop run={detail} hasPolicy={hasPolicy} summary={summary} />
      {detail.rows && detail.rows.length > 0 && (
        <Card
          title="What was found"
          about="Measured on examples that the search has never seen (the sealed test split). The second figure is the range in which the true one lies, 95 times in 100."
        >
          <Results rows={detail.rows} />
        </Card>
      )}
      <Card
        title="How the learning goes"
        about="Drag over a chart to look closer, double-click to see everything again."
      >
        <RunCharts track={track} />
      </Card>
      <div className="columns">
        <Card
          title="How the best prompt came to be"
          about="Each line was the best when it came; words that changed are marked."
        >
          <Lineage entries={detail.lineage} />
        </Card>
        <Card title="Best prompts">
          <Prompts run={id} version={version} />
        </Card>
      </div>
      <Warnings warnings={detail.warnings} />
      <Card title="What happened (log)">
        <Log run={id} lastSeq={lastSeq} isRunning={detail.state === 'running'} />
      </Card>
      <Settings run={detail} />
    </>
  );
}

function useAnnouncedState(state: RunDetail['state'] | undefined): void {
  const before = useRef(state);
  useEffect(() => {
    if (state && before.current && state !== before.current) {
      announce(`The run is now: ${states[state].title}`);
    }
    before.current = state;
  }, [state]);
}

function Connected({ connection }: Pick<Live, 'connection'>) {
  const words = {
    connecting: 'connecting …',
    live: 'live',
    lost: 'connection lost, trying again …',
  };
  return (
    <span className={`connection connection-${connection}`} role="status">
      <span aria-hidden="true">{connection === 'live' ? '◉' : '○'}</span> {words[connection]}
    </span>
  );
}

function Headline({ run }: { run: RunDetail }) {
  const found = run.test ?? run.validation;
  const isEnded = run.state !== 'running';
  return (
    <section className="headline" aria-label="In short">
      <div className="headline-prompt">
        <h2>{run.state === 'done' ? 'The prompt that was found' : 'Best prompt so far'}</h2>
        <blockquote>
          {run.bestPrompt === undefined ? (
            <span className="muted">none yet</span>
          ) : (
            <ModelText text={run.bestPrompt} />
          )}
        </blockquote>
      </div>
      <Facts
        facts={[
          found
            ? [
                run.test ? 'Right on the test (accuracy)' : 'Right on validation',
                <ScoreCell key="s" score={found} />,
              ]
            : ['Best reward', run.bestReward === undefined ? '–' : number(run.bestReward)],
          ['Step', run.step === undefined ? '–' : count(run.step)],
          ['Answers asked for', run.evaluations === undefined ? '–' : count(run.evaluations)],
          isEnded && run.ended !== undefined
            ? ['Took', duration((Date.parse(run.ended) - Date.parse(run.started)) / 1000)]
            : ['Time left', run.secondsLeft === undefined ? '–' : duration(run.secondsLeft)],
          ['Budget used', run.spent === undefined ? '–' : share(Math.min(1, run.spent))],
          ...(run.usd ? ([['Money spent', `$${run.usd.toFixed(4)}`]] as const) : []),
        ]}
      />
    </section>
  );
}

function Warnings({ warnings }: { warnings: readonly string[] }) {
  if (warnings.length === 0) return null;
  const unique = [...new Set(warnings)];
  return (
    <Card title={`Good to know (${unique.length} ${unique.length === 1 ? 'warning' : 'warnings'})`}>
      <ul className="warnings">
        {unique.slice(-20).map((message) => (
          <li key={message}>
            <ModelText text={message} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Settings({ run }: { run: RunDetail }) {
  return (
    <Card title="Settings (configuration)">
      <details>
        <summary>As YAML</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
        <section className="frame short" aria-label="Configuration as YAML" tabIndex={0}>
          <pre>{run.yaml}</pre>
        </section>
      </details>
      <p>
        <a href={hrefOf(['new'], { from: run.id })}>Start a new run with these settings</a>
        {' · '}
        <a href={hrefOf(['data'], { run: run.id })}>Look at its data</a>
      </p>
      <Facts
        facts={[
          ['Started', moment(run.started)],
          ['Answers (task LM)', run.taskLm ?? '–'],
          ['Writes (policy LM)', run.policyLm ?? '–'],
          ['Seed', String(run.seed)],
          ...(run.examples
            ? ([
                [
                  'Examples',
                  `${count(run.examples.train)} train, ${count(run.examples.validation)} validation, ${count(run.examples.test)} test`,
                ],
              ] as const)
            : []),
          ...Object.entries(run.versions).map(([name, version]) => [name, version] as const),
        ]}
      />
    </Card>
  );
}
