"""Module III: architectures and training of deep networks."""

from training.reproduction.course import Question, Text

QUESTIONS = (
    Question(
        Text("Exercise 1", "Exercício 1"),
        Text(
            "How do squared, 0-1, cross-entropy and hinge loss of a logistic regression on ten points rank, from the "
            "smallest to the largest?",
            "Como se ordenam, da menor para a maior, as perdas quadrática, 0-1, de entropia cruzada e hinge de uma "
            "regressão logística em dez pontos?",
        ),
        Text(
            "Squared .1421, 0-1 .2000, cross-entropy .4487, hinge .6805. The hinge loss takes the labels −1 and +1: "
            "the printed values come from them, although the printed line of code has the labels 0 and 1.",
            "Quadrática 0,1421, 0-1 0,2000, entropia cruzada 0,4487, hinge 0,6805. A perda hinge usa as classes −1 e "
            "+1: os valores impressos provêm delas, embora a linha de código impressa tenha as classes 0 e 1.",
        ),
        option="d",
        shown_by=("losses",),
    ),
    Question(
        Text("Exercise 2", "Exercício 2"),
        Text(
            "How does one choose a loss for the training of a net?",
            "Como se escolhe uma função de perda para treinar uma rede?",
        ),
        Text(
            "By the task (two classes, many classes, regression), by the magnitude of the loss, and by how well it "
            "guides the optimiser. Not every measure of error does that (b): the gradient of the 0-1 loss is 0 "
            "wherever it exists. Popular choices (a, d) are a good start, not a rule.",
            "Pela tarefa (duas classes, muitas classes, regressão), pela magnitude da perda e por quão bem guia o "
            "otimizador. Nem toda a medida de erro o faz (b): o gradiente da perda 0-1 é 0 onde quer que exista. As "
            "escolhas populares (a, d) são um bom começo, não uma regra.",
        ),
        option="c",
        shown_by=("losses",),
    ),
    Question(
        Text("Exercise 3", "Exercício 3"),
        Text(
            "What are the cross-entropy and the squared loss of one example for a randomly initialised net with 5 "
            "classes?",
            "Quanto valem a entropia cruzada e a perda quadrática de um exemplo para uma rede inicializada ao acaso, "
            "com 5 classes?",
        ),
        Text(
            "About 1.6 and 0.8. Such a net gives each class about 1/5: −ln 0.2 = 1.609, and 0.8² + 4·0.2² = 0.8.",
            "Cerca de 1,6 e 0,8. Uma rede assim dá a cada classe cerca de 1/5: −ln 0,2 = 1,609, e 0,8² + 4·0,2² = 0,8.",
        ),
        option="a",
        shown_by=("losses",),
    ),
    Question(
        Text("Exercise 4", "Exercício 4"),
        Text(
            "How do SGD and Adam compare?",
            "Como se comparam SGD e Adam?",
        ),
        Text(
            "Both update the weights step by step with the gradient; Adam also averages earlier gradients and scales "
            "each step by their second moment. Momentum alone does not make SGD equal to Adam, both allow a decaying "
            "learning rate (c), and neither is always better (d). The document has two options (a): this is the "
            "first.",
            "Ambos atualizam os pesos passo a passo com o gradiente; o Adam usa ainda a média dos gradientes "
            "anteriores e pondera cada passo pelo segundo momento. Só com momentum o SGD não equivale ao Adam, ambos "
            "permitem uma taxa de aprendizagem decrescente (c), e nenhum é sempre melhor (d). O documento tem duas "
            "opções (a): esta é a primeira.",
        ),
        option="a",
        shown_by=("boston_decay",),
    ),
    Question(
        Text("Exercise 5", "Exercício 5"),
        Text(
            "Which valid practice matters most for the training of a deep net?",
            "Que prática válida é a mais relevante para o treino de uma rede profunda?",
        ),
        Text(
            "Search optimiser, learning rate, momentum and batch size coarsely on few examples, then refine the "
            "search on more of them, by training and validation metrics. Defaults are not always good (a), and no "
            "loss, optimiser or decay is always right (b). `vitrine sweep` searches every job in these two stages; on "
            "Boston Housing its winner has a test error of {coarse_to_fine:test MSE, the winner}, Adam's defaults "
            "after as many epochs one of {coarse_to_fine:test MSE, Adam's defaults}.",
            "Procurar otimizador, taxa de aprendizagem, momentum e tamanho do lote de forma grosseira com poucos "
            "exemplos, e depois refinar a procura com mais, segundo as métricas de treino e de validação. As "
            "predefinições nem sempre são boas (a), e nenhuma perda, otimizador ou decaimento é sempre o certo (b). "
            "`vitrine sweep` procura nestas duas etapas para qualquer trabalho; no Boston Housing a vencedora tem no "
            "teste um erro de {coarse_to_fine:test MSE, the winner}, e as predefinições do Adam, após o mesmo número "
            "de épocas, {coarse_to_fine:test MSE, Adam's defaults}.",
        ),
        option="c",
        shown_by=("coarse_to_fine",),
    ),
    Question(
        Text("Exercise 6", "Exercício 6"),
        Text(
            "What is the main difference between VGGNet, Inception and ResNet?",
            "Qual é a principal diferença entre VGGNet, Inception e ResNet?",
        ),
        Text(
            "The flow of data: VGGNet has its convolutions one after the other, Inception has parallel ones whose "
            "maps are concatenated, and ResNet adds maps that skip layers. ResNet does not concatenate, and Inception "
            "does not skip (c).",
            "O fluxo dos dados: a VGGNet tem as convoluções em sequência, a Inception tem-nas em paralelo e concatena "
            "os mapas, e a ResNet soma mapas que saltam camadas. A ResNet não concatena, e a Inception não salta (c).",
        ),
        option="d",
        shown_by=("fashion_inception", "fashion_resnet"),
    ),
    Question(
        Text("Exercise 7", "Exercício 7"),
        Text(
            "Adam with its default learning rate (A) or from 0.02 with decay (B): which net has the smaller errors, "
            "and which the smaller gap between training and validation?",
            "Adam com a taxa predefinida (A) ou a partir de 0,02 com decaimento (B): que rede tem erros menores, e "
            "qual tem menor diferença entre treino e validação?",
        ),
        Text(
            "B has the smaller errors, but those of A lie closer together: 21.5 and 28 against 7.3 and 23.1 as "
            "printed, {boston_default:loss} and {boston_default:val_loss} against {boston_decay:loss} and "
            "{boston_decay:val_loss} in our run (mean squared error, training and validation).",
            "A B tem erros menores, mas os da A estão mais próximos entre si: 21,5 e 28 contra 7,3 e 23,1 nos valores "
            "impressos, {boston_default:loss} e {boston_default:val_loss} contra {boston_decay:loss} e "
            "{boston_decay:val_loss} na nossa execução (erro quadrático médio, treino e validação).",
        ),
        option="b",
        shown_by=("boston_default", "boston_decay"),
    ),
    Question(
        Text("Exercise 8", "Exercício 8"),
        Text(
            "Which two batch sizes have the worst and which two the best test error?",
            "Que dois tamanhos de lote têm o pior e que dois têm o melhor erro no teste?",
        ),
        Text(
            "Worst 128 and 256, best 4 and 16, by the printed figures. Our run confirms the best, 4, and the worst, "
            "256; the second places differ, since other seeds change the error by more than the sizes between differ.",
            "Os piores são 128 e 256 e os melhores 4 e 16, segundo os valores impressos. A nossa execução confirma o "
            "melhor, 4, e o pior, 256; os segundos lugares diferem, porque outras sementes mudam o erro mais do que "
            "diferem entre si os tamanhos intermédios.",
        ),
        option="a",
        shown_by=("batch_size",),
    ),
    Question(
        Text("Exercise 9", "Exercício 9"),
        Text(
            "What follows from exercises 7 and 8?",
            "O que se conclui dos exercícios 7 e 8?",
        ),
        Text(
            "Default hyper-parameters may give results below the optimum, so a search pays. In our study Adam's "
            "default has a test error of {learning_rate_decay:test MSE, 0.001, Adam's default}, a constant rate of "
            "0.02 one of {learning_rate_decay:test MSE, 0.02}, less than with any decay, so Adam is not “always "
            "better with decay” (c).",
            "Hiperparâmetros predefinidos podem dar resultados abaixo do ótimo, pelo que vale a pena procurar. No "
            "nosso estudo a predefinição do Adam tem um erro no teste de {learning_rate_decay:test MSE, 0.001, Adam's "
            "default}, e uma taxa constante de 0,02 tem {learning_rate_decay:test MSE, 0.02}, menos do que com "
            "qualquer decaimento: o Adam não é «sempre melhor com decaimento» (c).",
        ),
        option="d",
        shown_by=("learning_rate_decay", "batch_size"),
    ),
    Question(
        Text("Exercise 10", "Exercício 10"),
        Text(
            "Trained on 800 pictures for 100 epochs, what do the losses of the residual net and of the Inception net "
            "show?",
            "Treinadas com 800 imagens durante 100 épocas, o que mostram as perdas da rede residual e da Inception?",
        ),
        Text(
            "The residual net fits its training pictures perfectly (loss .000), but its test loss of 1.515 is the "
            "higher one: it overfits. The Inception net (.345 and .715) has not fitted its pictures fully and has "
            "room for improvement. Ours: {fashion_resnet:train_loss} and {fashion_resnet:test_loss}, "
            "{fashion_inception:train_loss} and {fashion_inception:test_loss}.",
            "A rede residual ajusta-se perfeitamente às imagens de treino (perda 0,000), mas a sua perda no teste, "
            "1,515, é a mais alta: há sobreajuste. A Inception (0,345 e 0,715) não se ajustou por completo e pode "
            "melhorar. As nossas: {fashion_resnet:train_loss} e {fashion_resnet:test_loss}, "
            "{fashion_inception:train_loss} e {fashion_inception:test_loss}.",
        ),
        option="a",
        shown_by=("fashion_inception", "fashion_resnet"),
    ),
)
