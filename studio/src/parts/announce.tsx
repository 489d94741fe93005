/** One polite live region for the whole page: changes of state are said, streams of numbers are not. */
import { useEffect, useState } from 'react';

const NAME = 'whetstone-announce';

export function announce(text: string): void {
  window.dispatchEvent(new CustomEvent(NAME, { detail: text }));
}

export function Announcer() {
  const [text, setText] = useState('');
  useEffect(() => {
    const listen = (event: Event) => setText((event as CustomEvent<string>).detail);
    window.addEventListener(NAME, listen);
    return () => window.removeEventListener(NAME, listen);
  }, []);
  return (
    <p className="toast" role="status" data-empty={text === ''}>
      {text}
    </p>
  );
}
