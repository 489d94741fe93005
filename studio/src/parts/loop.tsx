/**
 * The loop as it is: context → policy LM → prompt → task LM → output ↔ gold → reward → update, with
 * the texts of the last episode in their places. A new episode travels along the arrows once.
 */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { RunDetail } from '../../../src/server/contract.ts';
import { number } from '../format.ts';
import { ModelText, Right, Term } from './bits.tsx';

interface Props {
  readonly run: RunDetail;
  /** True where a policy learns; other methods choose or change prompts by rules. */
  readonly hasPolicy: boolean;
  /** What the method does, in a sentence. */
  readonly summary: string | undefined;
}

/** An episode in flight is let arrive before the next one starts. */
const FLIGHT_MS = 2400;

export function Loop({ run, hasPolicy, summary }: Props) {
  const [episode, flight] = usePaced(run.lastEpisode);
  const isRunning = run.state === 'running';
  const none = (
    <span className="muted">{isRunning ? 'waiting for the first one …' : 'not kept'}</span>
  );
  return (
    <section
      className="loop"
      aria-label="The loop, with the texts of the last episode"
      data-moving={isRunning}
    >
      <div className="loop-track" key={flight}>
        <Node
          area="context"
          title={<Term title="What it knows" term="context" />}
          note="what the policy reads before it writes"
        >
          {episode?.context ? <ModelText text={episode.context} /> : contextOf(run)}
        </Node>
        <Arrow area="a1" order={0} />
        <Node
          area="policy"
          kind="model"
          title={
            hasPolicy ? (
              <Term title="The writer" term="policy LM" />
            ) : (
              <Term title="The method" term={run.method} />
            )
          }
          note={hasPolicy ? 'learns which prompts pay' : summary}
        >
          <b>{hasPolicy ? (run.policyLm ?? run.method) : run.method}</b>
          {run.step !== undefined && <span> at step {run.step}</span>}
        </Node>
        <Arrow area="a2" order={1} label="writes" />
        <Node area="prompt" kind="text" title={<Term title="The instruction" term="prompt" />}>
          {episode ? <ModelText text={episode.prompt} /> : none}
        </Node>
        <Arrow area="a3" order={2} />
        <Node area="input" kind="text" title={<Term title="The question" term="input" />}>
          {episode ? <ModelText text={episode.input} /> : none}
        </Node>
        <Arrow area="a4" order={2} way="corner" />
        <Node
          area="task"
          kind="model"
          title={<Term title="The answerer" term="task LM" />}
          note="frozen: it is not changed"
        >
          <b>{run.taskLm ?? 'task LM'}</b>
        </Node>
        <Arrow area="a5" order={3} label="answers" />
        <Node area="output" kind="text" title={<Term title="Its answer" term="output" />}>
          {episode ? <ModelText text={episode.answer} /> : none}
          {episode && <Right isRight={episode.answer === episode.gold} />}
        </Node>
        <Arrow area="a6" order={4} way="both" label="compared" />
        <Node area="gold" kind="text" title={<Term title="The right answer" term="gold" />}>
          {episode ? <ModelText text={episode.gold} /> : none}
        </Node>
        <Arrow area="a7" order={5} way="left" label="how far off" />
        <Node area="reward" kind="reward" title={<Term title="How well it did" term="reward" />}>
          {episode ? <b className="big">{number(episode.reward)}</b> : none}
        </Node>
        <Arrow area="a8" order={6} way="up" label={hasPolicy ? 'update' : 'keeps the better'} />
      </div>
    </section>
  );
}

/** The newest episode, but never another before the last one has arrived. */
function usePaced(newest: RunDetail['lastEpisode']): [RunDetail['lastEpisode'], number] {
  const [shown, setShown] = useState({ episode: newest, flight: 0 });
  const lastAt = useRef(0);
  useEffect(() => {
    if (newest === shown.episode) return;
    const wait = Math.max(0, lastAt.current + FLIGHT_MS - Date.now());
    const timer = setTimeout(() => {
      lastAt.current = Date.now();
      setShown((before) => ({ episode: newest, flight: before.flight + 1 }));
    }, wait);
    return () => clearTimeout(timer);
  }, [newest, shown.episode]);
  return [shown.episode, shown.flight];
}

function contextOf(run: RunDetail): ReactNode {
  const task = (run.config as { task?: { description?: string } } | null)?.task;
  return task?.description ? (
    <ModelText text={task.description} />
  ) : (
    <>
      the task <b>{run.task}</b>
      {run.examples && ` and its ${run.examples.train} train examples`}
    </>
  );
}

function Node(props: {
  area: string;
  title: ReactNode;
  note?: string | undefined;
  kind?: 'model' | 'text' | 'reward';
  children: ReactNode;
}) {
  return (
    <div className={`node node-${props.kind ?? 'plain'} at-${props.area}`}>
      <h3>{props.title}</h3>
      <div className="node-body">{props.children}</div>
      {props.note && <p className="node-note">{props.note}</p>}
    </div>
  );
}

function Arrow(props: {
  area: string;
  order: number;
  way?: 'right' | 'left' | 'up' | 'both' | 'corner';
  label?: string;
}) {
  return (
    <span
      className={`arrow arrow-${props.way ?? 'right'} at-${props.area} order-${props.order}`}
      aria-hidden="true"
    >
      {props.label && <small>{props.label}</small>}
      <i />
    </span>
  );
}
