// A real series: Google's closing price in USD on 150 trading days from 2008-03-13 to 2008-10-14.
// From matplotlib's sample data (goog.npz), under matplotlib's licence, which is based on the PSF's.
const CLOSE = `
443.01 437.92 419.87 439.16 432 433.55 460.56 450.78 458.19 444.08 438.08 440.47 465.71 465.7 455.12 471.09
476.82 467.81 464.19 469.08 457.45 451.66 446.84 455.03 449.54 539.41 537.79 555 546.49 543.04 544.06 552.12
558.47 574.29 593.08 581.29 594.9 586.36 579 583.01 573.2 584.94 583 576.3 581 580.07 577.52 578.6 549.99
549.46 544.62 560.9 568.24 583 585.8 575 567.3 572.22 586.3 567 557.87 554.17 545.2 552.95 571.51 572.81
569.46 562.38 560.2 546.43 545.21 542.3 551 528.82 528.07 526.42 534.73 527.04 537 543.91 554.53 541.55
540.57 533.8 521.62 516.09 535.6 533.44 481.32 468.8 477.11 489.22 475.62 491.98 477.12 483.11 482.7 473.75
467.86 463 479.85 486.34 479.12 495.01 500.84 502.61 500.03 505.49 510.15 498.3 490.5 485 486.53 490.59
483.01 474.16 468.58 473.78 463.29 465.25 464.41 450.26 444.25 419.95 418.66 414.16 433.75 437.66 433.86
442.93 414.49 439.08 449.15 430.14 429.27 435.11 439.6 431.04 381 400.52 411.72 390.49 386.91 371.21 346.01
338.11 328.98 332 381.02 362.71
`;
const KNOWN = 120;

const HOLIDAYS = ["2008-03-21", "2008-05-26", "2008-07-04", "2008-09-01"];

function tradingDays(first, count) {
  const days = [];
  for (const day = new Date(first); days.length < count; day.setUTCDate(day.getUTCDate() + 1)) {
    const text = day.toISOString().slice(0, 10);
    if (day.getUTCDay() % 6 !== 0 && !HOLIDAYS.includes(text)) days.push(text);
  }
  return days;
}

const values = CLOSE.trim().split(/\s+/).map(Number);
export const stock = {
  history: values.slice(0, KNOWN),
  later: values.slice(KNOWN), // what came after the history
  times: tradingDays("2008-03-13", KNOWN),
  last: "2008-09-02",
};
