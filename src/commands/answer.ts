import { type Arguments, isJson } from './arguments.ts';
import type { ProcessSurface } from './surface.ts';
import { renderJson } from './table.ts';

/**
 * Prints what a verb found out: text for people, or one JSON object for programs. Notes say what the answer leaves out; they are its member
 * `notes`, or lines on standard error.
 */
export function printAnswer(
  args: Arguments,
  surface: ProcessSurface,
  { json, text, notes = [] }: { readonly json: object; readonly text: string; readonly notes?: readonly string[] },
): void {
  if (isJson(args)) return surface.print(renderJson(notes.length === 0 ? json : { ...json, notes }));
  surface.print(text);
  for (const note of notes) surface.complain(`note: ${note}\n`);
}
