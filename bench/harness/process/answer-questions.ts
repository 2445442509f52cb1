/** What goes over the channel between a benchmark and its processes. */
export interface Question {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

export type Answers = Readonly<Record<string, (...args: never[]) => unknown>>;

/** Answers the parent's questions by name. With `ending`, this process ends when the parent is gone. */
export function answerQuestions(answers: Answers, { ending }: { readonly ending: boolean }): void {
  process.on("message", async ({ id, name, args }: Question) => {
    let reply: Reply;
    try {
      const answer = answers[name];
      if (answer === undefined) throw new Error(`no answer to "${name}"`);
      reply = { id, value: await answer(...(args as never[])) };
    } catch (error) {
      reply = { id, error: (error as Error).stack ?? String(error) };
    }
    process.send?.(reply);
  });
  if (ending) process.on("disconnect", () => process.exit(0));
  else process.channel?.unref();
}
