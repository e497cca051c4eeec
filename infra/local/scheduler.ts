import type { LogFile } from './log-file.ts';
import type { Schedule } from './plan.ts';

export interface SchedulerOptions {
  readonly schedule: Schedule;
  /** In place of the schedule's own interval. */
  readonly seconds?: number;
  readonly invoke: (event: unknown) => Promise<unknown>;
  readonly log: LogFile;
}

/**
 * Calls a function at once and then at its interval. At once, because what happened while nothing
 * ran is found by it. A call that is still running is not doubled.
 */
export class Scheduler {
  private readonly options: SchedulerOptions;
  private readonly timer: NodeJS.Timeout;
  private running: Promise<void> | undefined;

  constructor(options: SchedulerOptions) {
    this.options = options;
    const seconds = options.seconds ?? options.schedule.seconds;
    this.timer = setInterval(() => this.tick(), seconds * 1000);
    this.tick();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  private tick(): void {
    const { schedule, invoke, log } = this.options;
    this.running ??= invoke({
      source: 'aws.events',
      'detail-type': 'Scheduled Event',
      time: new Date().toISOString(),
      detail: {},
    })
      .then(() => undefined)
      .catch((error: unknown) => {
        log.write({ level: 'ERROR', message: `${schedule.functionName}: ${String(error)}` });
      })
      .finally(() => {
        this.running = undefined;
      });
  }
}
