import { writeFileSync } from 'node:fs';

const write = (result) => writeFileSync(process.env.MUTANTS_RESULT, JSON.stringify(result));

/** Records the results of a run, and ends it at the first failing test. Jest itself would run the whole file. */
export default class FirstFailure {
  #passed = [];

  onTestCaseResult(_test, { fullName, status }) {
    if (status === 'passed') this.#passed.push(fullName);
    if (status !== 'failed') return;
    write({ failed: fullName, passed: this.#passed });
    process.exit(1);
  }

  onRunComplete(_contexts, { testResults, numFailedTests }) {
    const broken = testResults.find(({ testExecError }) => testExecError)?.testExecError.message;
    const failed = numFailedTests > 0 ? 'unknown' : undefined;
    write({
      broken: broken ?? (testResults.length === 0 ? 'no test' : undefined),
      failed,
      passed: this.#passed,
    });
  }

  getLastError() {
    return undefined;
  }
}
