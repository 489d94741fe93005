/** The small parts that every page is made of. */
import type { ReactNode } from 'react';
import type { RunState, Score } from '../../../src/server/contract.ts';
import { interval, share } from '../format.ts';
import { pieces } from '../visible.ts';
import { states } from '../words.ts';

/** A text that a model wrote or a data file holds: never markup, odd characters by name. */
export function ModelText({ text, isLine = false }: { text: string; isLine?: boolean }) {
  if (text === '') return <span className="muted">(empty)</span>;
  return (
    <bdi className={isLine ? 'model line' : 'model'}>
      {pieces(text).map((piece, i) =>
        piece.isOdd ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text have no other name
          <i key={i} className="odd">
            {piece.text}
          </i>
        ) : (
          piece.text
        ),
      )}
    </bdi>
  );
}

const marks: Readonly<Record<RunState, string>> = {
  running: '●',
  paused: '❚❚',
  interrupted: '◐',
  done: '✓',
  failed: '✕',
};

export function StateMark({ state }: { state: RunState }) {
  return (
    <span className={`state state-${state}`} title={states[state].about}>
      <span aria-hidden="true">{marks[state]}</span> {states[state].title}
    </span>
  );
}

/** "75.1%" over "71.5 to 78.4%". */
export function ScoreCell({ score }: { score: Score | undefined }) {
  if (!score) return <span className="muted">–</span>;
  return (
    <span className="score">
      <b>{share(score.score)}</b> <small>{interval(score.interval)}</small>
    </span>
  );
}

/** "Plain words (term of art)". */
export function Term({ title, term }: { title: string; term: string }) {
  return (
    <>
      {title} <span className="term">({term})</span>
    </>
  );
}

export function Right({ isRight }: { isRight: boolean }) {
  return (
    <span className={isRight ? 'right' : 'wrong'}>
      <span aria-hidden="true">{isRight ? '✓' : '✕'}</span> {isRight ? 'right' : 'wrong'}
    </span>
  );
}

export function Card(props: {
  title: ReactNode;
  children: ReactNode;
  id?: string;
  about?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <section className="card" id={props.id}>
      <header>
        <h2>{props.title}</h2>
        {props.actions}
      </header>
      {props.about && <p className="about">{props.about}</p>}
      {props.children}
    </section>
  );
}

export function Failure({ error, retry }: { error: Error | undefined; retry?: () => void }) {
  if (!error) return null;
  return (
    <p className="note note-bad" role="alert">
      <b>That did not work:</b> <ModelText text={error.message} />{' '}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </p>
  );
}

export function Loading({ what }: { what: string }) {
  return <p className="muted loading">Loading {what} …</p>;
}

/** A wide table scrolls inside its own frame, reached by the keyboard. */
export function TableFrame({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="frame" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}

export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
