-- Grain: state. For: /metrics: how many generations were begun, and what became of them.
SELECT state, count(*) AS generations
FROM optiinfra.generations
GROUP BY state
