/** The text that a policy reads before it writes: the task's description and an example of each class. */
import type { Task } from '../tasks/task.ts';

/** Ends where the prompt begins. */
export function describeTask(task: Task): string {
  const lines = [task.description.trim()].filter(Boolean);
  task.classes.forEach(({ word }, label) => {
    const example = task.train.find((e) => e.label === label && e.input.length < 200);
    if (example) lines.push(`Text: ${example.input}\nAnswer: ${word}`);
  });
  lines.push('A short prompt for this task:');
  return lines.join('\n');
}
